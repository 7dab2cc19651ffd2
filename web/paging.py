"""Whom the engine is paging for an incident, for its page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Request

from schemas.errors import StoreUnavailable
from schemas.roster import Paging
from web.site import site_of


async def paging_of(request: Request) -> Sequence[Paging]:
    """The escalations of the incident in the address; none where this process does not know them (in a cluster)."""
    try:
        return site_of(request).runtime.live().oncall().paging(request.path_params.get("incident", ""))
    except StoreUnavailable:
        return ()


Pagings = Annotated[Sequence[Paging], Depends(paging_of)]
