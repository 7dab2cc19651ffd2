"""The words and numbers of the service assessment, as the tender's annexes 1 and 3 have them.

Source: procurement document, annex 1 (系统技术支持服务考核表) and annex 3 (安全事故定级说明), word for word. Annex 3
calls its third level 一般事故 in its heading and 较大事故 where it takes off points: both mean the same.
"""

from __future__ import annotations

from typing import Final

import msgspec

from schemas.vocabulary import AccidentLevel


class Aspect(msgspec.Struct, frozen=True):
    """One line of annex 1: what is scored, up to `most` points, and the bands as printed."""

    key: str
    project: str
    title: str
    most: int
    bands: tuple[str, ...]


ASPECTS: Final = (
    Aspect("support", "系统服务内容\n（65分）", "系统技术支持\n（65分）", 65, (
        "①65—52分。服务到位，业务系统问题和需求及时响应，并第一时间给出解决方案，系统服务和问题需求记录详实，并提供服务报告，"
        "能及时发现潜在隐患并提出改进建议，业务系统平稳运行。",
        "②51—39分。服务基本到位，对业务系统问题和需求做出响应，有问题和需求服务记录，能发现潜在隐患并报告信息办，业务系统正常运行。",
        "③38—1分。服务一般，系统信息服务记录简单，业务系统问题和需求响应不及时，业务可以进行，但业务系统运行不稳定。",
        "④0分。没有提供维护服务，经常出现系统故障，不能对出现的问题进行处理，导致业务不能进行，影响较大。",
    )),
    Aspect("quality", "质量保障（35分）", "服务质量\n（10分）", 10, (
        "①10—8分。快速解决故障，效率高，效果良好。",
        "②7—6分。快速解决故障，但仍存在小问题。",
        "③5—1分。故障解决时间长，效率低，但能最终解决。",
        "④0分。无法解决故障，或花长时间解决后仍存在很大问题。",
    )),
    Aspect("response", "质量保障（35分）", "响应时间\n（10分）", 10, (
        "①10—8分。7×24小时服务，5分钟内响应，30分钟到达现场。",
        "②7—6分。5—15分钟响应，30—60分钟到达现场。",
        "③5—1分。15—30分钟响应，1—2小时到达现场。",
        "④0分。30分钟后才响应，2小时后才到达现场。",
    )),
    Aspect("documents", "质量保障（35分）", "服务文档\n（8分）", 8, (
        "①8—7分。文档齐全、规范、详细，按时提供。",
        "②6—5分。文档齐全，按时提供，但不够规范、详细。",
        "③4—1分。文档不齐全，未按时提供，也不够规范、详细。",
        "④0分。无文档提交。",
    )),
    Aspect("people", "质量保障（35分）", "人员管理\n（7分）", 7, (
        "①7—6分。人员满足合同要求，态度热情，能力突出。",
        "②5—4分。人员满足合同要求，态度较好，能力一般。",
        "③3—1分。人员无相关资质，态度较好，能力一般。",
        "④0分。人员态度冷淡，责任心差，能力欠缺。",
    )),
)  # fmt: skip
"""Annex 1. Whole points; the bands of an aspect cover 0 to its most without a gap."""


class Level(msgspec.Struct, frozen=True):
    """One level of annex 3: its numbered lines, and what one accident takes off."""

    key: AccidentLevel
    title: str
    points: int
    meaning: str
    lines: tuple[str, ...]
    consequence: str


LEVELS: Final = (
    Level(
        "extraordinary", "特大", 100,
        "是指本项目的财政业务系统不能正常运行，遭受特别重大的损失，影响涉及自治区财政厅全厅用户或绝大部分预算单位，"
        "恢复正常运行和消除事故负面影响所需付出代价巨大，为采购人不可承受。具体有：",
        (
            "1.本项目财政业务系统不能正常运行且恢复时间超过48小时；",
            "2.本项目财政业务系统数据库无法正常运行且恢复时间超过48小时；",
            "3.因服务商操作不当，造成业务数据丢失或被破坏不可用，无法恢复；",
            "4.因系统设置不当、系统缺陷或漏洞未及时修补，导致错支财政资金，发生资金安全事故的。",
            "5.其他后果特别严重的事故。",
        ),
        "本期内发生特大事故的，本期考核减100分。",
    ),
    Level(
        "major", "重大", 30,
        "是指本项目财政业务系统不能正常运行，影响涉及大部分财政用户或预算单位，恢复正常运行和消除事故负面影响所需付出代价很大，"
        "但对于采购人来说仍可承受。具体有：",
        (
            "1.本项目财政业务系统不能正常运行时间超过24小时；",
            "2.本项目财政业务系统数据库无法运行且恢复时间超过24小时；",
            "3.因服务商操作不当，造成业务数据丢失或被破坏但可恢复，恢复时间超过24小时；",
            "4.因系统设置不当、系统缺陷或漏洞未及时修补，导致财政无法与银行清算资金，影响比较严重的。",
            "5.其他后果严重的事故。",
        ),
        "本期内发生重大事故的，本期考核每次减30分。",
    ),
    Level(
        "ordinary", "一般", 15,
        "是指本项目财政业务系统运行故障，影响涉及少数厅内用户或预算单位，产生的负面影响处于可控范围，"
        "恢复正常运行和消除事故负面影响所需付出代价不大。具体有：",
        (
            "1.本项目财政业务系统不能正常运行时间超过8小时；",
            "2.本项目财政业务系统数据库无法运行且恢复时间超过8小时；",
            "3.因服务商操作不当，造成业务数据丢失或被破坏但可恢复，恢复时间超过8小时；",
            "4.因同一原因导致业务系统部分模块和功能不能正常运行，累计次数超过2次，经采购人复查情况属实的。",
            "5.因服务态度不好、效率不高，被同一预算单位（或财政业务处室）投诉超过3次，经采购人复查情况属实的。",
            "6.其他产生不利后果的事故。",
        ),
        "本期内发生较大事故的，本期考核每次减15分。",
    ),
)  # fmt: skip
"""Annex 3, the worst first."""

CRITERIA: Final[dict[str, Level]] = {
    f"{level.title}.{number}": level for level in LEVELS for number in range(1, len(level.lines) + 1)
}
"""Every numbered line of annex 3, ``一般.4`` for example, and its level."""


def wording(criterion: str) -> str:
    """The line of annex 3 as printed. Raises KeyError."""
    return CRITERIA[criterion].lines[int(criterion.rpartition(".")[2]) - 1]
