"""What is found quickly in the state is what a scan would find."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.registry import raw_probe
from schemas.alerts import Alert
from schemas.matchers import Matcher, matches

NAMES = st.sampled_from(["a", 'quo"te', "b"])
VALUES = st.text('xy"\\é\n.', max_size=4)
MATCHERS = st.builds(Matcher, NAMES, st.sampled_from(["=", "!="]), VALUES) | st.builds(
    Matcher, NAMES, st.sampled_from(["=~", "!~"]), st.sampled_from(["x.*", "xy?", "x|y", ".+", "", '"x.*', "é+x"])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(MATCHERS, max_size=3), st.dictionaries(NAMES, VALUES.filter(bool), max_size=3))
def test_the_bytes_that_are_looked_for_stand_in_all_labels_that_match(
    matchers: list[Matcher], labels: dict[str, str]
) -> None:
    """Looking at bytes first leaves out no alert, whatever is in its labels."""
    if matches(matchers, labels):
        assert raw_probe(tuple(matchers)) in Alert.of(labels, "firing", 0).labels_raw
