"""R1.8: an installation's own templates: by channel, language and kind; checked at save; never in a page's way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from notifiers import rendering
from notifiers.template_check import check, problems
from notifiers.templates import OUTPUT_CHARS
from schemas.errors import ConfigError
from tests.channel_rigs import RIGS, notice


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for templates; afterwards the built-in ones hold again."""
    for name in ("dingtalk", "email", "wecom"):
        (tmp_path / name).mkdir()
    yield tmp_path
    rendering.use(rendering.templates_in(None))


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, "utf-8")
    rendering.use(rendering.templates_in(folder))


async def test_a_template_of_ones_own_is_used_for_its_channel_language_and_kind(folder: Path) -> None:
    """A file for one kind wins over one for all; other languages and channels keep the built-in texts."""
    put(folder, "dingtalk/zh.md.j2", "总控：{{ headline }} {{ notice.url }}")
    put(folder, "dingtalk/zh.resolved.md.j2", "好了：{{ notice.incident }}")
    put(folder, "headline.zh.j2", "【{{ notice.priority }}】{{ notice.title }}")
    async with RIGS["dingtalk"]() as rig:
        opened, resolved, english = (
            rig.notifier.render(notice(**told)) for told in ({}, {"kind": "resolved"}, {"language": "en"})
        )
    assert opened.text == f"总控：【P1】数据库连接耗尽 {notice().url}"
    assert (opened.title, resolved.text) == ("【P1】数据库连接耗尽", "好了：INC-7")
    assert english.text.startswith("### [P1 Critical] New incident INC-7")


def test_each_change_has_a_version(folder: Path) -> None:
    """The version follows the texts, not their times; without templates there is none."""
    assert rendering.own_version() == ""
    put(folder, "dingtalk/zh.md.j2", "a")
    first = rendering.own_version()
    put(folder, "dingtalk/zh.md.j2", "b")
    assert rendering.own_version() != first
    put(folder, "dingtalk/zh.md.j2", "a")
    assert rendering.own_version() == first
    assert len(first) == 12


@pytest.mark.parametrize(
    "text",
    [
        "{{ notice.nothing }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ notice.title.__class__ }}",
        "{{ notice.title.format(1) }}",
        "{{ '%99999999d' % 1 }}",
        "{{ 'x'|center(999999999) }}",
        "{% for a in range(999999999) %}x{% endfor %}",
        "{{ lipsum() }}",
        "{% for a in [1, 2, 3, 4, 5, 6, 7, 8, 9, 0] %}" * 5 + "x" + "{% endfor %}" * 5,
        "{{ notice.opened_ms / 0 }}",
        "{% set x = namespace(y='a') %}",
    ],
)
def test_what_fails_or_grows_gives_way_to_the_built_in_text(folder: Path, text: str) -> None:
    """While a message is rendered nothing of an own template's can stop it: ours is sent instead."""
    put(folder, "dingtalk/zh.md.j2", text)
    shown = rendering.render("dingtalk/zh.md.j2", notice())
    assert shown.startswith("### [P1 紧急] 新事件 INC-7")
    assert len(shown) < OUTPUT_CHARS
    assert [name for name, _, _ in problems(folder)] == ["dingtalk/zh.md.j2"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("dingtalk/zh.md.j2", "ok\n{% if notice.url %}", "2: templates: opened"),
        ("dingtalk/zh.md.j2", "a\n\n{{ notice.owner }}", "no attribute 'owner'"),
        ("dingtalk/zh.md.j2", "{% if notice.kind != 'breached' %}x{% endif %}", "breached: an empty message"),
        ("email/zh.resolved.txt.j2", "{{ notice.at_ms - none }}", "resolved: TypeError"),
        ("dingtalk/fr.md.j2", "x", "no channel uses a template of this name"),
        ("wecom/zh.txt.j2", "x" * 40_000, "is larger than 32768 bytes"),
        ("dingtalk/zh.md.j2", "{% for a in '1234567890' %}" * 12 + "{% endfor %}" * 12, "too much time or memory"),
    ],
)
def test_what_cannot_be_used_is_refused_at_save(folder: Path, name: str, text: str, problem: str) -> None:
    """Each file is rendered for every kind of notice, in a process of its own; the first trouble names its place."""
    (folder / name).write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        check(folder)
    assert problem in str(refused.value)


def test_good_templates_pass(folder: Path) -> None:
    """Copies of the built-in ones are taken as they are; a folder that is not there is not."""
    for name in ("email/zh.txt.j2", "dingtalk/zh.md.j2", "headline.en.j2"):
        (folder / name).write_text((Path(rendering.__file__).parent / name).read_text("utf-8"), "utf-8")
    check(folder)
    with pytest.raises(ConfigError, match="there is no folder"):
        check(folder / "nowhere")
