"""Read models, built from the log alone."""

from __future__ import annotations

from projections.assessment import AssessmentProjection
from projections.assessment_periods import AssessmentPeriods
from projections.deliveries import DeliveryProjection
from projections.held import HeldProjection
from projections.ledger import LedgerProjection
from projections.links import LinkProjection
from projections.measures import MeasureProjection
from projections.noise import NoiseProjection
from projections.projection import Projection, ProjectionStatus
from projections.projector import Projector, create_tables
from projections.rejections import RejectionProjection
from projections.rule_hits import RuleHitsProjection
from projections.sla import SlaProjection
from projections.tickets import TicketProjection
from projections.timeline import TimelineProjection
from projections.trends import TrendProjection

__all__ = ["ALL", "Projection", "ProjectionStatus", "Projector", "create_tables"]


def ALL(timezone: str = "Asia/Shanghai") -> list[Projection]:
    """Every projection there is; `timezone` is the IANA name of the zone whose calendar days the trends count."""
    return [
        TicketProjection(),
        TimelineProjection(),
        LinkProjection(),
        SlaProjection(),
        AssessmentProjection(),
        AssessmentPeriods(),
        TrendProjection(timezone),
        MeasureProjection(timezone),
        LedgerProjection(),
        HeldProjection(),
        DeliveryProjection(),
        RejectionProjection(),
        NoiseProjection(),
        RuleHitsProjection(),
    ]
