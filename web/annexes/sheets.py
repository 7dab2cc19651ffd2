"""The four annexes filled in, as plain tables: what stands where, whatever the format of the file.

Source of layout and words: procurement document, annexes 1–4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from schemas.annexes import ASPECTS, LEVELS
from schemas.assessment import Period
from schemas.assessment_score import Score, digest, score

SPACE = "\u3000"


@dataclass(frozen=True)
class Cell:
    """A text that spans so many columns and rows."""

    text: str
    across: int = 1
    down: int = 1


@dataclass(frozen=True)
class Sheet:
    """One annex: lines above the table, the table, and lines below. `widths` are in parts of the page's width."""

    name: str
    title: str
    above: tuple[str, ...]
    widths: tuple[int, ...]
    rows: tuple[tuple[Cell, ...], ...]
    below: tuple[str, ...] = ()


def sheets(period: Period) -> list[Sheet]:
    """Annex 1 of every rater (a blank one without any), then annexes 2 to 4."""
    result = score(period)
    forms = [_annex1(period, rater) for rater in sorted(period.ratings) or [""]]
    return [*forms, _annex2(period, result), _annex3(period, result), _annex4(period, result)]


def _row(*cells: str | Cell) -> tuple[Cell, ...]:
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)


def _day(iso: str) -> str:
    """``2026-01-01`` as the annexes write days; blanks without one."""
    year, month, day = iso.split("-") if iso else (SPACE * 2, SPACE, SPACE)
    return f"{year} 年 {month} 月 {day} 日"


def _annex1(period: Period, rater: str) -> Sheet:
    rating = period.ratings.get(rater)
    rows = [_row("序号", "项目", "项目分类", "评分细则", "得分")]
    number = 0
    for project, aspects in groupby(ASPECTS, lambda one: one.project):
        for place, aspect in enumerate(same := list(aspects)):
            number += 1
            points = str(rating.scores[aspect.key]) if rating else ""
            first = (Cell(project, down=len(same)),) if place == 0 else ()
            rows.append(_row(str(number), *first, aspect.title, "\n".join(aspect.bands), points))
    rows.append(_row("", Cell("合计：", 3), str(rating.total) if rating else ""))
    above = (f"评分人签名：{rater}{SPACE * 8}填表时间：{_day('')}",)
    name = f"附件1 {rater}".strip()
    return Sheet(name, "附件1：\n系统技术支持服务考核表", above, (6, 14, 16, 54, 10), tuple(rows))


def _tick(yes: bool, text: str) -> str:
    return f"{'☑' if yes else '□'} {text}"


def _annex2(period: Period, result: Score) -> Sheet:
    terms, rows = period.terms, []
    rows.append(_row("合同名称", Cell(terms.title, 3)))
    rows.append(_row("考核周期", Cell(f"{_day(terms.first)}至 {_day(terms.last)}", 3)))
    rows.append(_row("服务项目", "服  务  内  容", "完成情况", "得分"))
    deferred = False
    for item in terms.items:
        judged = period.items.get(item.id)
        outcome = judged.outcome if judged else ""
        deferred = deferred or outcome == "deferred"
        ticks = f"{_tick(outcome == 'done', '已完成')}\n{_tick(outcome in ('not_done', 'deferred'), '未完成')}"
        points = {"done": "0", "not_done": "-10", "deferred": "暂不计分"}.get(outcome, "")
        content = item.content + (f"\n（自 {item.deferred_from} 暂缓）" if item.deferred_from else "")
        rows.append(_row(item.title, content, ticks, points))
    rows.append(_row(Cell("合计", 3), str(result.completion)))
    notes = [f"{one.item}：{one.evidence} {one.commitment}".strip() for one in period.items.values()]
    rows.append(_row("意见\n建议", Cell("\n".join(notes), 3)))
    put_off = "情况属实，请运维服务商于下一服务周期内进行整改，完成合同要求的相关工作，本次考核得分为"
    as_ruled = "情况属实，同意按考核办法规定计算得分，本次考核得分为"
    judged_all = len(period.items) == len(terms.items)
    verdict = [
        f"{_tick(judged_all and chosen, text)} {result.completion if judged_all and chosen else SPACE * 3} 。"
        for chosen, text in ((deferred, put_off), (not deferred, as_ruled))
    ]
    rows.append(_row("结论", Cell("\n".join([*verdict, "评分人签名：", _day("")]), 3)))
    below = (
        "备注：",
        "1.服务项目和内容以服务合同规定及项目进度为依据，服务项目完成情况为“已完成”的，得分为“0”，服务完成情况为“未完成”的，"
        "得分为“-10”。",
        "2.被评定为“未完成”的服务项目，运维服务商承诺可按要求在同一合同周期内完成整改的，本次考核可暂不计算得分，"
        "于下一考核周期再次进行评定。（运维服务商提供的承诺书应作为考核的评分参考依据，于本期服务期满后15个工作日内，"
        "与按考核办法要求提供的相关文档一并提交）",
    )
    title = "附件2：\n系统技术支持服务完成情况表"
    return Sheet("附件2", title, ("用户方（盖章）：",), (20, 44, 20, 16), tuple(rows), below)


_NUMERALS = ("一", "二", "三")


def _annex3(period: Period, result: Score) -> Sheet:
    above = [
        "由于成交供应商未认真落实运维服务措施而造成安全事故的，将根据安全事故等级采取相应扣分措施。安全事故定级和解释如下："
    ]
    for numeral, level in zip(_NUMERALS, LEVELS, strict=True):
        above += [f"（{numeral}）{level.title}事故。", level.meaning, *level.lines, level.consequence]
    counted = {one.id: one for one in result.deductions}
    stands = {"proposed": "待认定", "confirmed": "已确认", "rejected": "已驳回", "appealed": "申诉中"}
    rows = [_row("编号", "条款", "依据", "认定", "扣分")]
    for one in period.deductions.values():
        decisions = [f"{stands[one.standing]}", *(f"{past.by}：{past.reason}" for past in one.history)]
        points = -counted[one.id].points if one.id in counted else 0
        basis = "\n".join([*one.incidents, *one.evidence, one.reason])
        rows.append(_row(one.id, one.criterion, basis, "\n".join(decisions), str(points)))
    rows.append(_row(Cell("合计", 4), str(result.capability)))
    return Sheet("附件3", "附件3：\n安全事故定级说明", tuple(above), (22, 12, 30, 26, 10), tuple(rows))


def _annex4(period: Period, result: Score) -> Sheet:
    terms = period.terms
    rows = [
        _row("合同名称", Cell(terms.title, 5)),
        _row("考核周期", Cell(f"{_day(terms.first)}—— {_day(terms.last)}", 5)),
        _row(Cell("综合评分", 6)),
        _row("序号", "考核项目", "评分人", "得分", "平均分", "最终得分"),
    ]
    raters = sorted(period.ratings) or [""]
    tall = len(raters)
    for place, rater in enumerate(raters):
        points = str(period.ratings[rater].total) if rater else ""
        if place == 0:
            mean = str(result.quality) if rater else ""
            first, last = (Cell("1", down=tall), Cell("服务质量", down=tall)), (Cell(mean, down=tall),) * 2
            rows.append((*first, Cell(rater), Cell(points), *last))
        else:
            rows.append(_row(rater, points))
    not_done = [one for one in period.items.values() if one.outcome == "not_done"]
    taken = [one for one in result.deductions if one.points]
    accidents = "；".join(f"{one.id} {one.criterion} -{one.points}" for one in taken) or "无扣分"
    late = "（文档逾期未提供，视为0分）" if result.documents_late else ""
    rows += [
        _row("序号", "考核项目", Cell("考核情况说明", 3), "得分"),
        _row("2", "合同完成情况", Cell(f"{len(not_done)} 项未完成", 3), str(result.completion)),
        _row("3", "运维能力", Cell(accidents, 3), str(result.capability)),
        _row(Cell("合计：", 5), f"{result.total}{late}"),
        _row("考核意见", Cell("评分人签字：", 5)),
        _row(*(Cell(_signature(period, party, title), 2) for party, title in _PARTIES)),
    ]
    paid = f"本期付款比例：{result.share:.4%}" + (f"，金额：{result.payment} 元" if result.payment is not None else "")
    below = (paid, f"计算摘要（SHA-256）：{digest(period)}")
    title = "附件4：\n系统技术支持服务考核意见总表"
    return Sheet("附件4", title, (_day(""),), (10, 18, 24, 12, 16, 20), tuple(rows), below)


_PARTIES = (("purchaser", "采购人："), ("head", "业务部门："), ("provider", "供应商："))


def _signature(period: Period, party: str, title: str) -> str:
    signed = period.signatures.get(party)
    by, opinion = (signed.by, signed.opinion) if signed else ("", "")
    return "\n".join([title, *([opinion] if opinion else []), "经办人：", f"负责人：{by}", _day("")])
