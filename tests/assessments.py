"""One assessed period as events: for tests of read models, documents and the command line."""

from __future__ import annotations

from schemas import assessment as a

OF = ("demo", "2026H1")
TERMS = a.Terms(
    title="财政一体化运维服务合同",
    provider="甲公司",
    purchaser="财政厅",
    first="2026-01-01",
    last="2026-06-30",
    documents_due="2026-07-21",
    raters=["li", "wang"],
    items=[a.Item("patrol", "日常巡检", "每日巡检"), a.Item("training", "培训", "每季培训", "2025H2"),
           a.Item("drill", "演练", "灾备演练")],
    sum="1000000.00",
)  # fmt: skip


def rated(rater: str, support: int, version: int = 1) -> a.ServiceRated:
    """A form of annex 1: `support` and 30 more."""
    scores = {"support": support, "quality": 9, "response": 9, "documents": 6, "people": 6}
    return a.ServiceRated(*OF, rater, scores, version, "服务\0良好")


def assessed_period() -> list[a.AssessmentEvent]:
    """Every type of event of an assessment: 92.5 of the raters, −10 of an item, −15 of an outage make 67.5."""
    proposed = a.DeductionProposed(*OF, "INC-7@1", "一般.1", 15, ["INC-7"], [], "business > 8 h", 1_767_585_600_000, "")
    return [
        a.AssessmentOpened(*OF, TERMS),
        rated("li", 60),
        rated("wang", 64),
        rated("li", 61, 2),
        a.ServiceItemJudged(*OF, "patrol", "done", "巡检记录", "", "zhao"),
        a.ServiceItemJudged(*OF, "training", "not_done", "无签到表", "", "zhao"),
        proposed,
        a.DeductionOutageEnded(*OF, "INC-7@1", 1_767_621_600_000),
        a.DeductionDecided(*OF, "INC-7@1", "confirm", "安全事故责任认定书 2026-3", "zhao"),
        a.AssessmentDocumentsReceived(*OF, ["运维年报"], "2026-07-20", False, "gong"),
        a.ServiceItemJudged(*OF, "drill", "deferred", "未演练", "承诺书 2026-1", "zhao"),
        a.AssessmentSigned(*OF, "head", "0" * 64, "tou", "同意"),
        a.AssessmentClosed(*OF, "0" * 64, "67.50"),
    ]
