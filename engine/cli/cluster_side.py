"""What the command line needs of a cluster, imported when it is first used.

Faust's and Kafka's clients take half a second and 23 MB: only the commands that speak to a cluster shall have them.
"""

from __future__ import annotations

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from typing import TYPE_CHECKING


def _when_used(name: str) -> ModuleType:
    """The module of this name, which is executed at the first look into it (see `importlib.util.LazyLoader`)."""
    if name in sys.modules:
        return sys.modules[name]
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    spec.loader = LazyLoader(spec.loader)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if TYPE_CHECKING:
    from engine import bootstrap_cluster as bootstrap_cluster
    from engine import cluster_admin as cluster_admin
else:
    bootstrap_cluster = _when_used("engine.bootstrap_cluster")
    cluster_admin = _when_used("engine.cluster_admin")
