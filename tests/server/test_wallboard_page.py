"""The wallboard in a real headless browser, fed by a real server."""

import json
import re
import socket
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import httpx
import pytest
from board_events import Simulation
from browser import Browser, program

from streamer.dashboard.glyphs import COLOURS, LETTERS
from streamer.server.access import Access, Role, Token
from streamer.server.wallboard import background
from streamer.server.wallboard.background import BackgroundWallboard
from streamer.server.wallboard.routes import ASSETS

ASSETS_AT = Path(background.__file__).parent / "assets"
VIEW, ACKNOWLEDGE = "a-token-for-viewing", "a-token-for-acknowledging"
WAIT_S = 20
HOSTILE = "<img src=x onerror=alert(1)>"


def wallboard(*tokens: Token, port=0):
    """A wallboard that has started."""
    found = BackgroundWallboard(socket.create_server(("127.0.0.1", port)), Access(tokens))
    found.start()
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """One browser for the module."""
    if program() is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        found.call("Emulation.setFocusEmulationEnabled", enabled=True)
        yield found


@pytest.fixture
def page(browser):
    """Show a wallboard; at the end nothing was amiss in the browser."""
    started = []

    def show(served, *, width=1400, height=900, fragment="", dark=False):
        started.append(served)
        browser.complaints.clear()
        browser.show(f"{served.url}{fragment}", width=width, height=height, dark=dark)
        return browser

    yield show
    browser.show("about:blank")
    for served in started:
        served.stop()
    # where a test had the server refuse or end, the console says so
    expected = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "403 (Forbidden)", "asked the")
    assert [c for c in browser.complaints if not any(each in c for each in expected)] == []


def wait(browser, script):
    """Wait until an expression is true in the page."""
    deadline = time.monotonic() + WAIT_S
    while not (found := browser.ask(script)):
        assert time.monotonic() < deadline, script
        time.sleep(0.02)
    return found


def text(browser, selector):
    """What is written there."""
    return browser.ask(f"document.querySelector({json.dumps(selector)})?.innerText")


def some_calls(served, count=3):
    """Calls, each with something said in it, and an alert in the first."""
    calls = Simulation(count, time.time() - 60)
    for event in calls.begin():
        served.take(event)
    for call in calls.ids:
        for event in calls.utterance(call, "customer", "angry"):
            served.take({**event, "uncertain": False, "confidence": 0.87})
    served.take(calls.alert(calls.ids[0], time.time()))
    return calls


def test_a_tile_says_how_a_call_is(page):
    """And follows it; the place of the tile stays when other calls go."""
    served = wallboard()
    calls = some_calls(served)
    shown = page(served)
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    for part in ("c-1001", "customer", "angry", "87 %", "1 alert"):
        wait(shown, f"document.querySelector('.tile').innerText.includes({json.dumps(part)})")
    for channel in ("customer", "agent"):
        served.take(calls.utterance("c-1003", channel)[0])
    wait(shown, "document.querySelectorAll('.tile')[2].innerText.includes('both talking')")
    places = "[...document.querySelectorAll('.tile')].map((t) => t.offsetLeft + ' ' + t.offsetTop)"
    before = shown.ask(places)
    served.take({"event": "call_deleted", "call": "c-1002"})
    wait(shown, "document.querySelectorAll('.tile').length === 2")
    after = json.dumps([before[0], before[2]])
    wait(shown, f"JSON.stringify({places}) === JSON.stringify({after})")
    served.take({"event": "call_begun", "call": "c-9", "at": time.time(), "channels": ["mono"]})
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    wait(shown, "document.querySelector('#grid li:nth-child(2)').innerText.includes('c-9')")
    served.take({"event": "call_ended", "call": "c-1003", "at": time.time()})
    wait(shown, "document.querySelectorAll('.tile')[2].innerText.includes('ended')")


def test_an_alert_is_acknowledged_on_the_page(page):
    """It waits beside the calls, is said to a screen reader, and goes for everybody."""
    served = wallboard()
    calls = some_calls(served)
    shown = page(served)
    wait(shown, "document.querySelectorAll('#alert-list li').length === 1")
    served.take(calls.alert("c-1002", time.time()))
    wait(shown, "document.querySelectorAll('#alert-list li').length === 2")
    assert "call c-1002" in text(shown, "#announce")
    assert shown.ask("document.title") == "(2) Calls"
    shown.ask("localStorage.setItem('streamer.name', 'Eva')")
    shown.ask("document.querySelector('#alert-list .act').click()")
    wait(shown, "document.querySelectorAll('#alert-list li').length === 1")
    seen = httpx.get(f"{served.url}wallboard/calls/c-1002", trust_env=False).json()
    assert seen["alerts"][0]["by"] == "Eva"
    assert "seen" in text(shown, "#grid li:nth-child(2)")


def test_a_long_id_takes_one_line_of_an_alert(page):
    """As the ids of telephone systems are; the whole is in its title."""
    served = wallboard()
    long = "v2-" + "0123456789-" * 6
    calls = Simulation(1, time.time() - 60)
    for event in (*calls.begin(), calls.alert(calls.ids[0], time.time())):
        served.take({**event, "call": long})
    shown = page(served)
    link = f"document.querySelector('#alert-list .link[title=\"{long}\"]')"
    wait(shown, f"{link} !== null")
    assert shown.ask(f"{link}.offsetHeight < 2 * parseFloat(getComputedStyle({link}).fontSize)")
    assert shown.ask(f"{link}.title") == long


def test_the_keyboard_stays_where_an_alert_was_acknowledged(page):
    """On the next alert; behind the last one, at the calls."""
    served = wallboard()
    calls = some_calls(served)
    served.take(calls.alert("c-1002", time.time() + 1))
    shown = page(served)
    wait(shown, "document.querySelectorAll('#alert-list li').length === 2")
    shown.ask("document.querySelector('#alert-list .act').focus()")
    press(shown, "Enter")
    wait(shown, "document.querySelectorAll('#alert-list li').length === 1")
    assert shown.ask("document.activeElement.closest('#alert-list') !== null")
    shown.ask("document.querySelector('#alert-list .act').focus()")
    press(shown, "Enter")
    wait(shown, "document.querySelectorAll('#alert-list li').length === 0")
    assert shown.ask("document.activeElement.id") == "calls"


def test_a_tile_says_who_calls(page):
    """Where the telephone system says it; the id is in the detail, and both can be filtered by."""
    served = wallboard()
    calls = Simulation(3, time.time() - 60)
    for event, who in zip(calls.begin(), ("Eva M., +49301", "", "Max"), strict=True):
        served.take({**event, "caller": who})
    served.take(calls.alert("c-1001", time.time()))
    shown = page(served)
    names = "[...document.querySelectorAll('.tile .name')].map((name) => name.textContent).join()"
    wait(shown, f"{names} === 'Eva M., +49301,c-1002,Max'")
    assert text(shown, "#alert-list .link") == "Eva M., +49301"
    choose(shown, "filter", "max")
    wait(shown, f"{names} === 'Max'")
    shown.ask("document.querySelector('.tile .name').focus()")
    assert shown.ask("document.activeElement.ariaLabel").startswith("call Max; ")
    choose(shown, "filter", "c-1001")
    wait(shown, f"{names} === 'Eva M., +49301'")
    shown.ask("document.querySelector('.tile').click()")
    wait(shown, "document.querySelector('#detail .glance') !== null")
    assert text(shown, "#detail-title") == "Eva M., +49301"
    assert "c-1001" in text(shown, "#detail .glance")


def test_text_is_never_markup(page):
    """A call, a channel and a rule that look like elements stay texts."""
    served = wallboard()
    served.take({"event": "call_begun", "call": HOSTILE, "at": time.time(), "channels": [HOSTILE]})
    served.take(
        {"event": "alert", "call": HOSTILE, "channel": HOSTILE, "rule": HOSTILE, "reason": HOSTILE,
         "utterance": 1, "at": time.time(), "at_s": 1.0}
    )  # fmt: skip
    shown = page(served)
    wait(shown, "document.querySelectorAll('#alert-list li').length === 1")
    assert HOSTILE in text(shown, ".tile")
    shown.ask("document.querySelector('.tile').click()")
    wait(shown, "document.querySelector('#detail .glance') !== null")
    assert text(shown, "#detail-title") == HOSTILE
    assert shown.ask("document.querySelectorAll('img').length") == 0


def test_a_call_in_detail(page):
    """Its timeline and utterances; the keyboard gets in, along the tiles and out again."""
    served = wallboard()
    some_calls(served)
    shown = page(served)
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    shown.ask("document.querySelector('.tile .name').focus()")
    label = shown.ask("document.activeElement.getAttribute('aria-label')")
    assert "alert: angry customer" in label
    assert "customer: angry 87 %, mood" in label
    press(shown, "ArrowRight")
    assert shown.ask("document.activeElement.textContent") == "c-1002"
    press(shown, "Enter")
    wait(shown, "document.querySelectorAll('#detail .timeline .bar').length === 1")
    assert "angry" in text(shown, "#detail table")
    press(shown, "Escape")
    wait(shown, "!document.querySelector('#detail').open")
    assert shown.ask("document.activeElement.textContent") == "c-1002"
    press(shown, "/")
    assert shown.ask("document.activeElement.id") == "filter"


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing_amiss_for_a_screen_reader(page, dark):
    """Names, roles, order, contrast: all of its rules, on the tiles, a call in detail, a token."""
    served = wallboard()
    some_calls(served)
    shown = page(served, dark=dark)
    shown.ask(axe())
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    assert violations(shown) == []
    shown.ask("document.querySelector('.tile .name').click()")
    wait(shown, "document.querySelectorAll('#detail .timeline .bar').length === 1")
    assert violations(shown) == []
    shown.ask("document.querySelector('#detail').close()")
    shown.ask("document.querySelector('#sign').showModal()")
    assert violations(shown) == []


def axe():
    """The rules, as a script."""
    try:
        found = distribution("axe-core-python").locate_file("axe_core_python/axe.min.js")
    except PackageNotFoundError:
        pytest.skip("axe-core-python is not installed: pip install axe-core-python")
    return Path(str(found)).read_text(encoding="utf-8")


def violations(browser):
    """What axe finds in the page: the rule, and where."""
    return browser.ask(
        "axe.run().then((found) => found.violations.map((each) =>"
        " each.id + ': ' + each.nodes.map((node) => node.html).join(' ')))"
    )


def press(browser, key):
    """Press a key and let it go."""
    more = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
    code = {"ArrowRight": 39, "Enter": 13, "Escape": 27, "/": 191}[key]
    browser.call(
        "Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **more
    )
    browser.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)


def test_a_filter_shows_what_it_says(page):
    """By words and by kind; sorted by mood, the lowest comes first."""
    served = wallboard()
    calls = some_calls(served)
    for event in calls.utterance("c-1002", "agent", "happy"):
        served.take({**event, "uncertain": False})
    served.take({"event": "mood", "call": "c-1003", "channel": "agent", "mood": -1, "trend": 0})
    shown = page(served)
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    choose(shown, "filter", "HAPPY agent")
    wait(shown, "document.querySelectorAll('.tile').length === 1")
    assert "c-1002" in text(shown, ".tile")
    choose(shown, "filter", "")
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    choose(shown, "only", "alerts")
    wait(shown, "document.querySelectorAll('.tile').length === 1")
    assert "c-1001" in text(shown, ".tile")
    choose(shown, "only", "all")
    choose(shown, "order", "mood")
    wait(shown, "document.querySelector('.tile .name').textContent === 'c-1003'")


def choose(browser, field, value):
    """Write into a field."""
    browser.ask(
        f"((e) => {{ e.value = {json.dumps(value)}; "
        f"e.dispatchEvent(new Event('input')) }})(document.getElementById('{field}'))"
    )


def test_sound_is_off_by_default(page):
    """And is switched on by a person."""
    shown = page(wallboard())
    assert shown.ask("document.getElementById('sound').getAttribute('aria-pressed')") == "false"
    shown.ask("document.getElementById('sound').focus()")
    press(shown, "Enter")  # as a person does: a script may not switch sound on
    assert text(shown, "#sound") == "sound on"


def test_the_page_says_when_it_is_stale_and_connects_again(page):
    """A server that goes and comes back at the same address: the page needs no hand."""
    served = wallboard()
    some_calls(served)
    shown = page(served)
    wait(shown, "document.querySelectorAll('.tile').length === 3")
    port = int(re.search(r":(\d+)/", served.url)[1])
    served.stop()
    wait(shown, "document.body.dataset.stale !== undefined")
    said = text(shown, "#stale")
    assert "may no longer be so" in said
    time.sleep(1.2)  # it is drawn every second, but a screen reader shall say it once
    assert text(shown, "#stale") == said
    assert shown.ask("document.querySelectorAll('.tile').length") == 3
    again = wallboard(port=port)
    try:
        some_calls(again, 2)
        wait(shown, "document.querySelectorAll('.tile').length === 2")
        wait(shown, "document.querySelector('#stale').hidden")
    finally:
        again.stop()


def test_a_token_is_asked_for(page):
    """Whoever may only view sees no button; a token in the address does not stay there."""
    tokens = (
        Token(VIEW, frozenset({Role.VIEW})),
        Token(ACKNOWLEDGE, frozenset({Role.ACKNOWLEDGE})),
    )
    served = wallboard(*tokens)
    some_calls(served)
    shown = page(served)
    wait(shown, "document.querySelector('#sign').open")
    assert "expected a token" in text(shown, "#sign-why")
    shown.ask(f"document.querySelector('#token').value = '{VIEW}'")
    shown.ask("document.querySelector('#sign [value=save]').click()")
    wait(shown, "document.querySelectorAll('#alert-list li').length === 1")
    assert shown.ask("document.querySelector('#alert-list .act').hidden")
    shown.show("about:blank")
    shown = page(served, fragment=f"#token={ACKNOWLEDGE}")
    wait(shown, "document.querySelector('#alert-list .act')?.hidden === false")
    assert shown.ask("location.href") == served.url
    shown.ask("sessionStorage.clear(); localStorage.clear()")


def test_who_may_do_what():
    """Each token what it is for, over HTTP; the page itself is no secret, and loads nothing."""
    tokens = (
        Token("m" * 16, frozenset({Role.MEDIA})),
        Token(VIEW, frozenset({Role.VIEW})),
        Token(ACKNOWLEDGE, frozenset({Role.ACKNOWLEDGE})),
    )
    served = wallboard(*tokens)
    calls = some_calls(served)
    asked = {"call": "c-1001", "alert": f"customer/{calls.number('c-1001')}/angry customer"}

    def answer(token):
        headers = {"Authorization": f"Bearer {token}"}
        seen = web.get("/wallboard/calls/c-1001", headers=headers).status_code
        return seen, web.post("/wallboard/acknowledge", json=asked, headers=headers).status_code

    with httpx.Client(base_url=served.url, trust_env=False) as web:
        assert answer("m" * 16) == (403, 403)
        assert answer(VIEW) == (200, 403)
        assert answer(ACKNOWLEDGE) == (200, 204)
        right = {"Authorization": f"Bearer {ACKNOWLEDGE}"}
        post = "/wallboard/acknowledge"
        for wrong in ({"call": 1}, [], {"call": "x" * 5000}):
            assert web.post(post, json=wrong, headers=right).status_code == 400
        assert web.post(post, json={"call": "no"}, headers=right).status_code == 404
        elsewhere = {**right, "Origin": "http://elsewhere.example"}
        assert web.post(post, json=asked, headers=elsewhere).status_code == 403
        policy = web.get("/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert web.get("/wallboard/board.html").status_code == 404
        assert web.get("/wallboard/..%2fstate.py").status_code == 404
    served.stop()


def test_each_part_of_the_page_is_served_and_its_colours_are_the_dashboards():
    """What lies in the folder has an address; an emotion looks the same everywhere."""
    assert {path.name for path in ASSETS_AT.iterdir()} == {*ASSETS, "board.html"}
    css = (ASSETS_AT / "board.css").read_text()
    found = dict(re.findall(r"\[data-emotion=(\w+)\] \{ --c: (#\w+); \}", css))
    assert found == {name: style.color.name for name, style in COLOURS.items()}
    script = (ASSETS_AT / "format.js").read_text()
    assert dict(re.findall(r'(\w+): "(.)"', script.partition("};")[0])) == LETTERS


def test_two_hundred_calls_are_smooth(page):
    """Drawn by the browser, whose rate is measured; the bar is in the benchmark, not here."""
    served = wallboard()
    calls = Simulation(200, time.time() - 400)
    for event in calls.begin():
        served.take(event)
    shown = page(served, width=3840, height=2160)
    wait(shown, "document.querySelectorAll('.tile').length === 200")
    assert shown.ask("document.documentElement.scrollHeight") <= 2160
    for call in calls.ids:
        for event in calls.utterance(call, "agent"):
            served.take(event)
    wait(shown, "document.querySelectorAll('.spark path:not([d=\"\"])').length === 200")


@pytest.mark.parametrize(("width", "height", "count"), [(1440, 900, 4), (1180, 760, 1)])
def test_letters_keep_their_size_while_calls_go_on(page, width, height, count):
    """They are as large as fits, and do not flicker between two sizes of which one does not."""
    served = wallboard()
    calls = Simulation(count, time.time() - 60)
    for event in calls.begin():
        served.take(event)
    shown = page(served, width=width, height=height)
    wait(shown, f"document.querySelectorAll('.tile').length === {count}")
    shown.ask(
        "window.drawn = 0; window.sizes = new Set(); addEventListener('drawn', () => { drawn++;"
        " if (drawn > 3) sizes.add(document.documentElement.style.getPropertyValue('--size')) })"
    )
    for number in range(1, 9):
        for event in calls.utterance("c-1001", "agent"):
            served.take(event)
        wait(shown, f"drawn >= {number}")
    assert shown.ask("sizes.size") == 1
    assert shown.ask("document.documentElement.scrollHeight") <= height


def test_on_a_phone_nothing_runs_out_of_the_page(page):
    """Neither tiles nor what is above them."""
    served = wallboard()
    some_calls(served, 6)
    shown = page(served, width=360, height=740)
    wait(shown, "document.querySelectorAll('.tile').length === 6")
    assert shown.ask("document.documentElement.scrollWidth") <= 360


def test_on_a_phone_a_single_call_stands_below_the_alerts(page):
    """Not at half of what is left of the page."""
    served = wallboard()
    some_calls(served, 1)
    shown = page(served, width=390, height=844)
    wait(shown, "document.querySelectorAll('.tile').length === 1")
    box = "document.querySelector('{}').getBoundingClientRect()"
    gap = f"{box.format('.tile')}.top - {box.format('#alerts')}.bottom"
    assert 0 <= shown.ask(gap) < 20
