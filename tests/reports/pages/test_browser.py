"""The page in a real browser, from a local file: hover, sort, filter, no errors, no network, phone width."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paretune.reports.charts.curves import learning_curves
from paretune.reports.pages.page import html_page
from paretune.search.ranking.reading import read
from paretune.search.record.evaluation import StudyRecord
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.slow


def program(*names: str) -> str:
    """Path of the first program that is installed."""
    for name in names:
        if found := shutil.which(name):
            return found
    pytest.fail(
        f"none of {names} is on PATH: install Chromium (Debian: apt-get install chromium chromium-driver)"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def files(
    study: StudyRecord,
    impossible: StudyRecord,
    searched: StudyRecord,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {"met": study, "not met": impossible, "searched": searched}
    for name, record in made.items():
        (folder / f"{name}.html").write_text(html_page(read(record)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture
def page(browser: webdriver.Chrome, files: dict[str, Path]) -> Callable[..., webdriver.Chrome]:
    """Opens a page in a window of that size and colour scheme, with empty logs."""

    def opened(name: str = "met", width: int = 1280, scheme: str = "light") -> webdriver.Chrome:
        emulate = browser.execute_cdp_cmd
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        emulate("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        emulate("Emulation.setEmulatedMedia", {"features": features})
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(files[name].as_uri())
        WebDriverWait(browser, 30).until(
            lambda d: d.find_elements(By.CSS_SELECTOR, "#plot-front .points path")
        )
        return browser

    return opened


def shown(browser: webdriver.Chrome) -> list[WebElement]:
    return [row for row in browser.find_elements(By.CSS_SELECTOR, "#ranking tbody tr") if row.is_displayed()]


def numbers(browser: webdriver.Chrome) -> list[int]:
    return [int(row.get_attribute("data-number") or -1) for row in shown(browser)]


def head(browser: webdriver.Chrome, title: str) -> WebElement:
    return browser.find_element(By.XPATH, f"//table[@id='ranking']//th[button[text()='{title}']]")


def values(browser: webdriver.Chrome, title: str) -> list[float]:
    """The raw values of a column from top to bottom, without the empty ones."""
    script = """
      const heads = [...document.querySelectorAll('#ranking th')];
      const index = heads.findIndex((h) => h.textContent.trim() === arguments[0]);
      return [...document.querySelectorAll('#ranking tbody tr')].map((r) => r.cells[index].dataset.value);
    """
    found = browser.execute_script(script, title)
    kept = [v for v in found if v]
    assert found == kept + [""] * (len(found) - len(kept)), "empty cells must stand at the end"
    return [float(v) for v in kept]


def test_no_error_and_no_request_in_any_scheme(page: Callable[..., webdriver.Chrome]) -> None:
    for name, width, scheme in (
        ("met", 1280, "light"), ("met", 390, "dark"), ("not met", 1280, "dark"), ("searched", 1280, "light"),
    ):  # fmt: skip
        browser = page(name, width, scheme)
        messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        urls = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        assert urls
        assert [url for url in urls if not url.startswith(("file://", "data:"))] == []
        assert browser.get_log("browser") == []


def test_hovering_a_point_shows_its_configuration(page: Callable[..., webdriver.Chrome]) -> None:
    browser = page()
    plot = browser.find_element(By.ID, "plot-front")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    point = browser.execute_script(
        """
        const traces = [...document.querySelectorAll('#plot-front .scatterlayer .trace')];
        const data = document.getElementById('plot-front')._fullData;
        const index = data.findIndex((t) => (t.customdata || []).includes(8));
        const trace = traces[index].querySelectorAll('.points path')[data[index].customdata.indexOf(8)];
        const box = trace.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2].map(Math.round);
        """
    )
    actions = ActionChains(browser)
    actions.w3c_actions.pointer_action.move_to_location(point[0] - 3, point[1])
    actions.w3c_actions.pointer_action.move_to_location(*point)
    actions.perform()
    hover = WebDriverWait(browser, 10).until(
        lambda d: d.find_elements(By.CSS_SELECTOR, "#plot-front .hoverlayer .hovertext")
    )
    text = hover[0].get_attribute("textContent") or ""
    for part in (
        "#8",
        "depth=3 width=0.75, channel:0.3, int16x8 (minmax 128), tflite",
        "Latency: 190 µs",
        "Size:",
    ):
        assert part in text


def test_clicking_a_header_sorts_and_clicking_again_turns_it(page: Callable[..., webdriver.Chrome]) -> None:
    browser = page()
    assert head(browser, "Rank").get_attribute("aria-sort") == "ascending"
    latency = head(browser, "Latency")
    latency.find_element(By.TAG_NAME, "button").click()
    assert latency.get_attribute("aria-sort") == "ascending"
    assert head(browser, "Rank").get_attribute("aria-sort") == "none"
    assert values(browser, "Latency") == sorted(values(browser, "Latency"))
    latency.find_element(By.TAG_NAME, "button").click()
    assert latency.get_attribute("aria-sort") == "descending"
    assert values(browser, "Latency") == sorted(values(browser, "Latency"), reverse=True)


def test_the_keyboard_sorts_and_quality_starts_with_the_best(page: Callable[..., webdriver.Chrome]) -> None:
    browser = page()
    button = head(browser, "Accuracy (validation)").find_element(By.TAG_NAME, "button")
    button.send_keys(Keys.ENTER)
    assert head(browser, "Accuracy (validation)").get_attribute("aria-sort") == "descending"
    found = values(browser, "Accuracy (validation)")
    assert found == sorted(found, reverse=True)
    assert len(found) == 47 + 2  # complete, and repeats of complete ones


def test_outcome_filters_hide_and_show_rows(page: Callable[..., webdriver.Chrome]) -> None:
    browser = page()
    assert len(numbers(browser)) == 60
    box = browser.find_element(By.CSS_SELECTOR, "input[data-outcome='complete']")
    box.click()
    assert len(numbers(browser)) == 13
    assert browser.find_element(By.ID, "shown").text == "13 of 60 shown"
    box.click()
    assert len(numbers(browser)) == 60


def test_words_filter_rows(page: Callable[..., webdriver.Chrome]) -> None:
    browser = page()
    browser.find_element(By.ID, "search").send_keys("INT8 tflite strongest")
    assert numbers(browser) == [4]


@pytest.mark.parametrize("name", ["met", "not met", "searched"])
def test_a_phone_scrolls_down_only(page: Callable[..., webdriver.Chrome], name: str) -> None:
    browser = page(name, width=390)
    for details in browser.find_elements(By.TAG_NAME, "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert browser.execute_script("return document.documentElement.scrollWidth") == 390
    size = browser.execute_script("return parseFloat(getComputedStyle(document.body).fontSize)")
    assert size >= 16


def test_a_phone_gets_short_labels_of_limits_and_the_whole_legend(
    page: Callable[..., webdriver.Chrome],
) -> None:
    script = """
      return [...document.querySelectorAll('#plot-front .annotation-text')].map((t) => t.textContent)
    """
    wide, narrow = (page(width=width).execute_script(script) for width in (1280, 390))
    assert "latency <= 0.42 ms" in wide
    assert any(text.startswith("accuracy >= teacher - 3 pt absolute (on test: ") for text in wide)
    assert {"≤ 420 µs", "≥ 95.00 %"} <= set(narrow)
    browser = page(width=390)
    ticks = browser.find_elements(By.CSS_SELECTOR, "#plot-front .xtick")
    assert 1 <= len(ticks) <= 6
    bar = "const bar = document.querySelector('#plot-front .legend .scrollbar');"
    assert browser.execute_script(bar + "return bar === null || bar.getAttribute('height') === '0'")


def test_paper_shows_the_whole_table_and_no_controls(page: Callable[..., webdriver.Chrome]) -> None:
    browser = page(width=720)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 720
    assert not browser.find_element(By.ID, "search").is_displayed()
    height = "return getComputedStyle(document.querySelector('.scroll.tall')).maxHeight"
    assert browser.execute_script(height) == "none"
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_contrast_is_enough_in_both_schemes(page: Callable[..., webdriver.Chrome]) -> None:
    pairs = (("--ink", "--page"), ("--soft", "--page"), ("--soft", "--card"), ("--accent", "--card"),
             ("--good", "--good-bg"), ("--warn", "--warn-bg"), ("--bad", "--bad-bg"))  # fmt: skip
    for scheme in ("light", "dark"):
        browser = page(scheme=scheme)
        read = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
        for above, below in pairs:
            a, b = (luminance(browser.execute_script(read, name)) for name in (above, below))
            assert (max(a, b) + 0.05) / (min(a, b) + 0.05) >= 4.5, (scheme, above, below)


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb" (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_dark_page_draws_in_dark_colours(page: Callable[..., webdriver.Chrome]) -> None:
    script = "return document.querySelector('#plot-front .xtitle').style.fill"
    light, dark = (page(scheme=scheme).execute_script(script) for scheme in ("light", "dark"))
    assert light != dark


def drawn(browser: webdriver.Chrome, plot: str, what: str) -> list[WebElement]:
    """The elements of a plot that have a size on the screen."""
    found = browser.find_elements(By.CSS_SELECTOR, f"#plot-{plot} {what}")
    return [element for element in found if element.rect["width"] + element.rect["height"] > 0]


def legend(browser: webdriver.Chrome, plot: str) -> list[str]:
    found = browser.find_elements(By.CSS_SELECTOR, f"#plot-{plot} .legendtext")
    return [element.get_attribute("textContent") or "" for element in found]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_search_is_drawn(
    page: Callable[..., webdriver.Chrome], searched: StudyRecord, width: int
) -> None:
    browser = page("searched", width)
    points = sum(len(curve.points) for curve in learning_curves(searched))
    assert len(drawn(browser, "curves", ".points path")) == points
    legends = {
        "curves": ["distilled", "pruned", "distilled, stopped"],
    }
    assert {plot: legend(browser, plot) for plot in legends} == legends
    for plot in legends:  # the legend stands below the axis' title and inside of the plot
        title, box, whole = (
            browser.find_element(By.CSS_SELECTOR, f"#plot-{plot} {part}").rect
            for part in (".xtitle", ".legend", ".main-svg")
        )
        assert title["y"] + title["height"] <= box["y"] + 1
        assert box["y"] + box["height"] <= whole["y"] + whole["height"] + 1


def test_curves_have_the_colours_of_the_scheme(page: Callable[..., webdriver.Chrome]) -> None:
    script = "return document.querySelector('#plot-curves .js-line').style.stroke"
    light, dark = (page("searched", scheme=scheme).execute_script(script) for scheme in ("light", "dark"))
    assert light != dark
