"""Pages in a real Chromium: sorting, filtering, enlarging, definitions, themes, a phone; no requests, no errors."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import FEW, MODELS, render, write_results
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

FLAGS = """
--headless=new --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update
--disable-sync --hide-scrollbars
"""
PHONE, LAPTOP = (390, 844), (1280, 800)
QUIET = {"file", "data"}  # the URL schemes that a page may use


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages of two suites."""
    root = tmp_path_factory.mktemp("browser")
    folder = write_results(root, "digits", {name: MODELS[name] for name in ("gan", "lsgan", "vae", "ddpm")})
    for place in folder.glob("*/seed*/final/*/"):
        (place / "logs").mkdir()
        (place / "logs/sample.log").write_text("drawn\n")
    render(folder)
    return render(write_results(root, "other", FEW))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """A laptop with the light theme. Checks after each test that the console is empty and the network was not used."""
    shape(chromium, LAPTOP)
    chromium.get_log("performance")  # drops the requests of the browser's first tab
    yield chromium
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    events = [json.loads(entry["message"])["message"] for entry in chromium.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked, "the page itself is a request: the log must have it"
    assert {url.partition(":")[0] for url in asked} <= QUIET
    assert chromium.get_log("browser") == []


def shape(browser: webdriver.Chrome, size: tuple[int, int], scheme: str = "light", media: str = "screen") -> None:
    """Set the window's size, the theme and the medium."""
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def visit(browser: webdriver.Chrome, page: Path, fragment: str = "") -> None:
    """Load a page afresh, even if only the fragment differs."""
    browser.get("about:blank")
    browser.get(page.as_uri() + (f"#{fragment}" if fragment else ""))


def shown(browser: webdriver.Chrome) -> list[str]:
    """Return the model and sampler of each visible row of the first comparison, in order."""
    rows = browser.find_elements(By.CSS_SELECTOR, "table.comparison")[0].find_elements(By.CSS_SELECTOR, "tbody tr")
    names = [
        (row.find_element(By.CSS_SELECTOR, "th a").text, row.find_element(By.CSS_SELECTOR, "td.text").text)
        for row in rows
        if row.is_displayed()
    ]
    return [" ".join(name) for name in names]


def heading(browser: webdriver.Chrome, text: str) -> Any:
    """Return the heading of the first comparison that starts with `text`."""
    found = browser.find_elements(By.CSS_SELECTOR, "table.comparison thead tr:last-child th")
    return next(one for one in found if one.text.startswith(text))


def unfold(browser: webdriver.Chrome, inside: str) -> None:
    """Open the closed part of the page around an element with a click on its summary."""
    part = browser.find_element(By.XPATH, f"//*[@id='{inside}']/ancestor::details[1]")
    part.find_element(By.CSS_SELECTOR, "summary").click()


def press(browser: webdriver.Chrome, name: str) -> None:
    """Press a filter's button with the keyboard."""
    button = browser.find_element(By.CSS_SELECTOR, f".filters button[value={json.dumps(name)}]")
    button.send_keys(Keys.ENTER)


def test_a_heading_sorts_and_turns(browser, report):
    visit(browser, report / "digits.html")
    by_quality = shown(browser)
    assert by_quality[0] == "DDPM ddpm-100"
    time = heading(browser, "Time for")
    button = time.find_element(By.CSS_SELECTOR, "button.sort")
    button.click()
    assert time.get_attribute("aria-sort") == "ascending"
    assert shown(browser)[0] == "VAE default"
    assert shown(browser)[-1] == "DDPM ddpm-100"
    button.send_keys(Keys.ENTER)
    assert time.get_attribute("aria-sort") == "descending"
    assert shown(browser)[0] == "DDPM ddpm-100"
    precision = heading(browser, "Precision")
    precision.find_element(By.CSS_SELECTOR, "button.sort").click()  # higher is better: one click puts the best on top
    assert shown(browser)[0].startswith("DDPM d")
    assert [time.get_attribute("aria-sort"), precision.get_attribute("aria-sort")] == [None, "descending"]


def test_filters_leave_the_rows_of_the_pressed_families_and_of_a_word(browser, report):
    visit(browser, report / "digits.html")
    total = len(shown(browser))
    press(browser, "GAN")
    assert sorted(shown(browser)) == ["GAN default", "LSGAN default"]
    assert browser.find_element(By.CSS_SELECTOR, ".filters output").text == f"2 of {total} rows"
    press(browser, "VAE")
    assert sorted(shown(browser)) == ["GAN default", "LSGAN default", "VAE default"]
    press(browser, "GAN")
    press(browser, "VAE")
    assert len(shown(browser)) == total
    browser.find_element(By.CSS_SELECTOR, ".filters input").send_keys("DDIM")
    assert shown(browser) == ["DDPM ddim-25"]


def test_the_address_keeps_how_the_table_is_shown(browser, report):
    visit(browser, report / "digits.html")
    press(browser, "Diffusion")
    press(browser, "Training")  # a group of columns
    heading(browser, "Time for").find_element(By.CSS_SELECTOR, "button.sort").click()
    address, rows = browser.current_url, shown(browser)
    assert len(rows) == 3
    visit(browser, report / "digits.html", address.partition("#")[2])
    assert shown(browser) == rows
    assert heading(browser, "Time for").get_attribute("aria-sort") == "ascending"
    titles = browser.find_elements(By.CSS_SELECTOR, "table.comparison")[0].find_element(By.TAG_NAME, "thead").text
    assert ("NFE" in titles, "Parameters" in titles) == (True, False)
    press(browser, "Diffusion")
    press(browser, "Training")
    assert len(shown(browser)) == 6
    assert "Parameters" in browser.find_element(By.CSS_SELECTOR, "table.comparison thead").text


def test_rows_stand_side_by_side(browser, report):
    visit(browser, report / "digits.html")
    boxes = {box.get_attribute("aria-label"): box for box in browser.find_elements(By.CSS_SELECTOR, ".pick")}
    for name in ("DDPM, ddim-25", "GAN", "VAE"):
        boxes[f"Compare {name}"].send_keys(Keys.SPACE)
    assert not boxes["Compare LSGAN"].is_enabled()
    boxes["Compare VAE"].send_keys(Keys.SPACE)
    assert boxes["Compare LSGAN"].is_enabled()
    panel = browser.find_element(By.CSS_SELECTOR, ".compared")
    assert panel.is_displayed()
    lines = [row.text for row in panel.find_elements(By.CSS_SELECTOR, "tr")]
    assert "FD-classifier (2k) ↓ 13.9 61.3" in lines
    assert not [line for line in lines if line.startswith("training: steps")]  # equal values are left out
    assert len(panel.find_elements(By.CSS_SELECTOR, ".strips img")) == 2
    titles = [figure.text for figure in panel.find_elements(By.CSS_SELECTOR, ".curves figcaption")]
    assert titles == ["DDPM: Losses", "GAN: Losses"]


def test_a_number_leads_to_its_record_images_and_logs(browser, report):
    visit(browser, report / "digits.html")
    browser.find_element(By.CSS_SELECTOR, "table.comparison tbody td button").send_keys(Keys.ENTER)
    links = browser.find_elements(By.CSS_SELECTOR, ":popover-open a")
    addresses = [Path(link.get_attribute("href").removeprefix("file://")) for link in links]
    assert [path.name for path in addresses][:4] == ["metrics.json", "timing.json", "training.json", "history.jsonl"]
    assert {"grid.png", "sample.log"} <= {path.name for path in addresses}
    assert all(path.exists() for path in addresses)


def test_a_slider_goes_over_the_snapshots_of_a_model(browser, report):
    visit(browser, report / "digits.html")
    unfold(browser, "model-ddpm")
    section = browser.find_element(By.ID, "model-ddpm")
    strips = section.find_elements(By.CSS_SELECTOR, ".strips dd")

    def steps() -> set[str]:
        return {one.get_attribute("data-row").split("/")[1] for one in strips if one.is_displayed()}

    assert steps() == {"final"}
    section.find_element(By.CSS_SELECTOR, ".slider input").send_keys(Keys.ARROW_LEFT)
    assert steps() == {"step-300"}
    assert section.find_element(By.CSS_SELECTOR, ".slider output").text == "step-300"


def test_the_index_has_all_rows_in_one_table_and_filters_them_by_data_set(browser, report):
    visit(browser, report / "index.html")
    total = len(shown(browser))
    data_sets = browser.find_elements(By.CSS_SELECTOR, ".filters button[data-filter=suite]")
    assert [button.get_attribute("value").rpartition(" ")[2] for button in data_sets] == ["(digits)", "(other)"]
    data_sets[1].send_keys(Keys.SPACE)
    few = len(shown(browser))
    assert 0 < few < total
    press(browser, "GAN")
    assert len(shown(browser)) == 1
    link = browser.find_element(By.CSS_SELECTOR, "tbody tr:not([hidden]) th a").get_attribute("href")
    assert link.endswith("other.html#model-gan")


def test_a_grid_is_enlarged_and_closed_with_the_keyboard(browser, report):
    visit(browser, report / "digits.html")
    figure = browser.find_element(By.ID, "grid-1")
    assert not figure.is_displayed()
    unfold(browser, "grid-1")
    small = figure.find_element(By.CSS_SELECTOR, "img").size["width"]
    figure.find_element(By.CSS_SELECTOR, "a.open").send_keys(Keys.ENTER)
    assert figure.rect["width"] == LAPTOP[0]
    assert figure.find_element(By.CSS_SELECTOR, "img").size["width"] > 1.5 * small
    WebDriverWait(browser, 120).until(lambda driver: driver.switch_to.active_element.text == "Close")
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert browser.current_url.endswith("#grid-2")
    browser.switch_to.active_element.send_keys(Keys.ARROW_LEFT)
    assert browser.current_url.endswith("#grid-1")
    WebDriverWait(browser, 120).until(lambda driver: driver.switch_to.active_element.text == "Close")
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert browser.current_url.endswith("#at-grid-1")
    assert figure.find_element(By.CSS_SELECTOR, "img").size["width"] == small
    WebDriverWait(browser, 120).until(
        lambda driver: driver.switch_to.active_element == figure.find_element(By.CSS_SELECTOR, "a.open")
    )


def test_a_definition_opens_by_key_and_closes_with_escape(browser, report):
    visit(browser, report / "digits.html")
    button = heading(browser, "Precision").find_element(By.CSS_SELECTOR, "button.ask")
    button.send_keys(Keys.ENTER)
    meaning = browser.find_element(By.CSS_SELECTOR, ":popover-open")
    assert "Share of generated images inside the manifold of the real ones" in meaning.text
    assert "Higher is better." in meaning.text
    button.send_keys(Keys.ESCAPE)
    assert browser.find_elements(By.CSS_SELECTOR, ":popover-open") == []


def test_without_scripts_all_is_there_but_sorting_and_filtering(browser, report):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    visit(browser, report / "digits.html")
    assert not browser.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    assert browser.find_elements(By.CSS_SELECTOR, "button.sort") == []
    assert len(shown(browser)) == 6
    unfold(browser, "grid-1")
    browser.find_element(By.CSS_SELECTOR, "#grid-1 a.open").click()
    figure = browser.find_element(By.ID, "grid-1")
    assert figure.rect["width"] == LAPTOP[0]
    figure.find_element(By.CSS_SELECTOR, "a.close").click()
    assert figure.rect["width"] < LAPTOP[0] / 2
    unfold(browser, "model-vae")
    section = browser.find_element(By.CSS_SELECTOR, "#model-vae details")
    section.find_element(By.CSS_SELECTOR, "summary").click()
    assert section.find_element(By.CSS_SELECTOR, "table").is_displayed()
    section.find_element(By.CSS_SELECTOR, "button.term").click()
    assert browser.find_element(By.CSS_SELECTOR, ":popover-open").is_displayed()


def test_colours_follow_the_theme_in_plots_too(browser, report):
    def colours() -> list[str]:
        script = "return [getComputedStyle(document.body).backgroundColor, getComputedStyle(arguments[0]).fill]"
        return browser.execute_script(script, browser.find_element(By.CSS_SELECTOR, "svg.plot text"))

    visit(browser, report / "digits.html")
    light = colours()
    shape(browser, LAPTOP, "dark")
    dark = colours()
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] == "rgb(20, 23, 26)"
    assert light[1] != dark[1]


@pytest.mark.parametrize("name", ["digits.html", "index.html"])
@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
def test_no_page_is_wider_than_the_window(browser, report, name, size):
    shape(browser, size)
    visit(browser, report / name)
    for details in browser.find_elements(By.CSS_SELECTOR, "details"):
        browser.execute_script("arguments[0].open = true", details)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
    assert len(shown(browser)) > 0


def test_the_page_can_be_printed(browser, report):
    visit(browser, report / "digits.html")
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    shape(browser, LAPTOP, "dark", media="print")
    assert not browser.find_element(By.CSS_SELECTOR, ".filters").is_displayed()
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
