"""When an alert is raised: at once when its condition holds, once, and not for nothing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from said import said

from streamer.analysis.alerts import AlertEngine, RuleState
from streamer.config import AlertRule, Config
from streamer.events import Alert, MoodChanged
from streamer.types import Utterance

LETTERS = {"A": "angry", "N": "neutral", "S": "sad"}


def rule(**values: object):
    """Angry, unless it is said otherwise."""
    return AlertRule.model_validate({"name": "rule", "emotions": ["angry"]} | values)


def raised(values, story, *, moods=None):
    """Which utterances of a story raise an alert; ``a`` is an uncertain A, ``-`` not classified."""
    state = RuleState(values)
    numbers = []
    for number, letter in enumerate(story):
        emotion = None if letter == "-" else LETTERS[letter.upper()]
        utterance = said(number, emotion, uncertain=letter.islower())
        alert = state.add(utterance, moods[number] if moods else 0.0)
        if alert is not None:
            assert alert.utterance == number
            numbers.append(number)
    return numbers


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("NNANNN", []),
        ("NAA", [2]),
        ("NANA", [3]),
        ("NANNA", []),
        ("NAAAAAAA", [2]),
        ("AaaA", [3]),  # what is not certain does not count
        ("A--A", [3]),
        ("aaaa", []),
        ("AANNNNNNNAA", [1, 10]),
        ("AANAANA", [1]),  # one that disagrees does not clear it
        ("AANNA", [1]),  # all begins anew: one is not enough
    ],
)
def test_two_of_the_last_three(story, expected):
    """The default rule's way of counting."""
    assert raised(rule(count=2, of=3), story) == expected


def mean_raised(values, story):
    """The alerts that probabilities of anger raise; None: not classified."""
    state = RuleState(values)
    alerts = []
    for number, share in enumerate(story):
        emotion, confidence = ("angry", share) if share is not None else (None, 0.0)
        alert = state.add(said(number, emotion, confidence=confidence, uncertain=True), 0.0)
        alerts += [alert] if alert is not None else []
    return alerts


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([0.9, 0.0, 0.0], []),  # one alone is not enough
        ([0.7, 0.7], [1]),  # (0 + 0.7 + 0.7) / 3
        ([0.4, 0.4, 0.4], []),
        ([0.5, 0.5, 0.5], [2]),  # none of them certain: together they are enough
        ([0.5, None, 0.5, 0.5], [3]),  # what was not classified does not count
        ([0.9, 0.3, 0.2], []),  # 0.47, but the last one says rather something else
        ([0.9, 0.3, 0.25], [2]),
        ([0.7, 0.7, 0.7, 0.7], [1]),  # once
        ([0.7, 0.7, 0.0, 0.0, 0.0, 0.7, 0.7], [1, 6]),
        ([0.7, 0.7, 0.0, 0.7, 0.7], [1]),  # one that disagrees does not clear it
    ],
)
def test_the_mean_of_the_last_three(story, expected):
    """The default rule: certain or not, what counts is how probable anger is on the whole."""
    values = rule(mean_probability=0.45, of=3, cooldown_s=0)
    assert [alert.utterance for alert in mean_raised(values, story)] == expected


def test_an_alert_of_a_mean_says_it():
    """Its emotion and confidence are those of the mean, also where the utterance has others."""
    values = rule(emotions=["sad", "angry"], mean_probability=0.6, of=2)
    (alert,) = mean_raised(values, [0.8, 0.5])
    rest = (0.2 + 0.5) / 7  # what is left of each is shared by the other seven
    assert alert.emotion == "angry"
    assert alert.confidence == pytest.approx((0.8 + 0.5 + rest) / 2)
    assert alert.reason == "sad or angry 70 % over 2 utterances"


def test_a_mean_may_have_to_last():
    """From the utterance with which it began to hold."""
    values = rule(mean_probability=0.45, of=1, for_s=15)
    (alert,) = mean_raised(values, [0.5, 0.5, 0.5])
    assert (alert.utterance, alert.reason) == (2, "angry 50 % for 15 s")


def test_it_is_not_raised_again_before_it_has_cooled_down():
    """Utterances are ten seconds apart here; then it is raised if it still holds."""
    story = "AANNAANNAANN"
    assert raised(rule(count=2, of=3, cooldown_s=0), story) == [1, 5, 9]
    assert raised(rule(count=2, of=3, cooldown_s=75), story) == [1, 9]
    assert raised(rule(count=1, of=1, clear=1, cooldown_s=25), "ANAAA") == [0, 3]


def test_it_may_have_to_last():
    """From the start of the utterance with which it began to hold."""
    assert raised(rule(for_s=25), "AAAA") == [3]
    assert raised(rule(for_s=25), "AANAAA") == []
    assert raised(rule(for_s=2), "A") == [0]


def test_the_confidence_may_have_to_be_high():
    """Below it, it is as if something else was heard."""
    assert raised(rule(confidence=0.8), "A") == [0]
    assert raised(rule(confidence=0.81), "A") == []


def test_any_of_several_emotions_counts():
    """Not only the first."""
    assert raised(rule(emotions=["angry", "sad"], count=2, of=2), "ANSA") == [3]


def test_a_low_mood_has_to_rise_well_before_it_is_low_again():
    """Hysteresis: what wavers about the threshold is one alert, uncertain or not."""
    wavers = [0.0, -0.45, -0.35, -0.45, -0.35, -0.3, -0.45, 0.1, 0.2, -0.5]
    values = {"emotions": [], "mood_below": -0.4, "cooldown_s": 0, "clear": 1}
    story = "NnNnNnNnNn"
    assert raised(rule(**values), story, moods=wavers) == [1, 3, 6, 9]
    assert raised(rule(**values, mood_clear=0.0), story, moods=wavers) == [1, 9]


stories = st.text("ANSa-", max_size=60)


@given(stories, st.integers(1, 5), st.integers(0, 4), st.integers(1, 4))
def test_it_is_raised_with_the_utterance_that_makes_it_hold(story, count, more, clear):
    """As told from the story alone, for any rule without a cool-down."""
    of = count + more
    values = rule(count=count, of=of, clear=clear, cooldown_s=0)
    expected, window, quiet, open_alert = [], [], 0, False
    for number, letter in enumerate(story):
        if letter not in "ANS":
            continue
        quiet = 0 if letter == "A" else quiet + 1
        if open_alert and quiet >= clear:
            window, open_alert = [], False
        window = [*window, letter][-of:]
        if window.count("A") >= count and not open_alert:
            expected.append(number)
            open_alert = True
    assert raised(values, story) == expected


@given(stories, st.floats(0, 200))
def test_alerts_keep_their_distance(story, cooldown_s):
    """However the story goes."""
    numbers = raised(rule(count=2, of=3, clear=1, cooldown_s=cooldown_s), story)
    gaps = [10 * (later - earlier) for earlier, later in pairwise(numbers)]
    assert all(gap >= cooldown_s - 1e-3 for gap in gaps)


def engine(channels, rules=None):
    """What follows on these channels, by the default rule or others."""
    alerts = {} if rules is None else {"rules": rules}
    return AlertEngine(Config.model_validate({"audio": {"channels": channels}, "alerts": alerts}))


def alerts_of(watching, channel, story="AAA"):
    """Names of the rules that a story raises on a channel."""
    found = []
    for number, letter in enumerate(story):
        found += watching.add(said(number, LETTERS[letter], channel=channel))
    return [event.rule for event in found if isinstance(event, Alert)]


def test_by_default_it_is_the_customer_who_is_watched():
    """Where there is one; else every channel on its own."""
    both = engine(["agent", "customer"])
    assert alerts_of(both, "agent") == []
    assert alerts_of(both, "customer") == ["angry customer"]
    assert alerts_of(engine([]), "mono") == ["angry speaker"]
    either = engine(["left", "right"])
    assert alerts_of(either, "left", "A") == []
    assert alerts_of(either, "right", "A") == []
    assert alerts_of(either, "left", "A") == ["angry speaker"]


def test_a_rule_may_name_its_channel():
    """Or watch them all."""
    rules = [
        {"name": "agent", "channel": "agent", "emotions": ["angry"]},
        {"name": "all", "channel": "any", "emotions": ["angry"]},
    ]
    assert alerts_of(engine(["agent", "customer"], rules), "agent", "A") == ["agent", "all"]
    assert alerts_of(engine(["agent", "customer"], rules), "customer", "A") == ["all"]


def test_the_mood_comes_first_and_the_alert_knows_it():
    """So that whoever is told can say both."""
    rules = [{"name": "low", "mood_below": -0.5}]
    utterance, mood, alert = engine(["mono2"], rules).add(
        said(1, "sad", channel="mono2", mood=-0.7)
    )
    assert isinstance(utterance, Utterance)
    assert isinstance(mood, MoodChanged)
    assert isinstance(alert, Alert)
    assert utterance.alerts == ("low",)
    assert mood.mood == alert.mood == pytest.approx(-0.7)
    assert alert.text == "low: mono2, mood at most -0.50 (#1)"


def test_no_rules_no_alerts():
    """They can be switched off."""
    assert alerts_of(engine([], []), "mono") == []
