"""Commands: what people and programs ask of the core. The answer is events, nothing (already so) or a rejection.

Who asks and when stands in the journal record (`schemas.records.Commanded`), not here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.assessment import DecideDeduction as DecideDeduction
from schemas.assessment import JudgeServiceItem as JudgeServiceItem
from schemas.assessment import OpenAssessment as OpenAssessment
from schemas.assessment import ProposeDeduction as ProposeDeduction
from schemas.assessment import RateService as RateService
from schemas.assessment import ReceiveAssessmentDocuments as ReceiveAssessmentDocuments
from schemas.assessment import SignAssessment as SignAssessment
from schemas.events import Outage, Severity
from schemas.oncall_changes import RemoveOncallChange as RemoveOncallChange
from schemas.oncall_changes import SetOverride as SetOverride
from schemas.oncall_changes import SetVacation as SetVacation
from schemas.oncall_changes import SwapShifts as SwapShifts
from schemas.silences import ExpireSilence as ExpireSilence
from schemas.silences import SetSilence as SetSilence
from schemas.tickets import Claim as Claim
from schemas.tickets import Classify as Classify
from schemas.tickets import HandOver as HandOver
from schemas.tickets import Link as Link
from schemas.tickets import Split as Split
from schemas.tickets import Unlink as Unlink
from schemas.tickets import Verify as Verify

IncidentId = Annotated[str, Field(min_length=1, max_length=120, description="as in INC-7")]
Text = Annotated[str, Field(max_length=20_000)]
Line = Annotated[str, Field(min_length=1, max_length=500)]


class _Command(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Acknowledge(_Command):
    """I have seen it and take care (响应)."""

    type: Literal["acknowledge"] = "acknowledge"
    incident: IncidentId


class Assign(_Command):
    """Make `assignee` the owner (指派责任人)."""

    type: Literal["assign"] = "assign"
    incident: IncidentId
    assignee: Line


class StartDiagnosis(_Command):
    """The search for the cause begins (分析定位)."""

    type: Literal["start_diagnosis"] = "start_diagnosis"
    incident: IncidentId


class AddNote(_Command):
    """Write on the timeline."""

    type: Literal["add_note"] = "add_note"
    incident: IncidentId
    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class Mitigate(_Command):
    """Users no longer suffer (止损)."""

    type: Literal["mitigate"] = "mitigate"
    incident: IncidentId
    note: Text = ""


class Resolve(_Command):
    """It is over (解决)."""

    type: Literal["resolve"] = "resolve"
    incident: IncidentId
    solution: Text = ""
    cause_code: Annotated[str, Field(max_length=100)] = ""


class StartReview(_Command):
    """Begin the root-cause review (复盘)."""

    type: Literal["start_review"] = "start_review"
    incident: IncidentId


class Close(_Command):
    """Nothing more is to be done (关闭)."""

    type: Literal["close"] = "close"
    incident: IncidentId
    note: Text = ""


class Reopen(_Command):
    """It was not over."""

    type: Literal["reopen"] = "reopen"
    incident: IncidentId
    reason: Line


class Merge(_Command):
    """`incident` is the same trouble as `into`."""

    type: Literal["merge"] = "merge"
    incident: IncidentId
    into: IncidentId
    reason: Text = ""


class MarkFalseAlarm(_Command):
    """There was no trouble (误报)."""

    type: Literal["mark_false_alarm"] = "mark_false_alarm"
    incident: IncidentId
    reason: Line


class SetPriority(_Command):
    """Judge urgency and impact by hand (1 highest … 4 lowest, 1 widest … 3 narrowest)."""

    type: Literal["set_priority"] = "set_priority"
    incident: IncidentId
    urgency: Annotated[int, Field(ge=1, le=4)]
    impact: Annotated[int, Field(ge=1, le=3)]
    reason: Text = ""


class ReportIncident(_Command):
    """A person found trouble that no alert told of (人工上报)."""

    type: Literal["report_incident"] = "report_incident"
    title: Line
    service: Annotated[str, Field(max_length=200)] = ""
    severity: Severity = "major"
    impact: Annotated[int, Field(ge=1, le=3)] = 2
    origin: Literal["manual", "inspection", "user_report"] = "manual"
    description: Text = ""
    outage: Outage | None = None
    scope: Annotated[str, Field(max_length=200)] = "default"


class TestChannel(_Command):
    """Send a harmless message through one channel to prove that it is alive (R1.8)."""

    __test__ = False  # its name begins with Test; pytest shall not collect it
    type: Literal["test_channel"] = "test_channel"
    channel: Line


class RecordDrill(_Command):
    """A backup was restored and put to work; this is what was measured (灾备演练). Times in milliseconds."""

    type: Literal["record_drill"] = "record_drill"
    backup: Line
    backup_at_ms: Annotated[int, Field(ge=0)]
    records: Annotated[int, Field(ge=0)]
    events: Annotated[int, Field(ge=0)]
    head: Annotated[str, Field(max_length=64)]
    decided_again: bool = False
    rto_ms: Annotated[int, Field(ge=0)]
    rpo_ms: Annotated[int, Field(ge=0)]
    problem: Text = ""


Command = Annotated[
    Acknowledge | Assign | StartDiagnosis | AddNote | Mitigate | Resolve | StartReview | Close | Reopen | Merge
    | MarkFalseAlarm | SetPriority | ReportIncident | TestChannel | RecordDrill | SetSilence | ExpireSilence
    | OpenAssessment | RateService | JudgeServiceItem | ProposeDeduction | DecideDeduction
    | ReceiveAssessmentDocuments | SignAssessment
    | SetOverride | SwapShifts | SetVacation | RemoveOncallChange
    | Classify | Claim | HandOver | Verify | Split | Link | Unlink,
    Field(discriminator="type"),
]  # fmt: skip

IncidentCommand = (
    Acknowledge | Assign | StartDiagnosis | AddNote | Mitigate | Resolve | StartReview | Close | Reopen | Merge
    | MarkFalseAlarm | SetPriority
)  # fmt: skip
"""The commands that act on one existing incident."""

COMMAND: TypeAdapter[Command] = TypeAdapter(Command)
"""Validates and dumps any command; `COMMAND.validate_json(body)` raises pydantic.ValidationError."""
