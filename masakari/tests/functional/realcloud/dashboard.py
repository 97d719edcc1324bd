"""Horizon with the Masakari dashboard, and a person who looks at it with Chromium."""

import contextlib
import os
import subprocess

import pytest
from selenium import webdriver
from selenium.common import exceptions
from selenium.webdriver.common.by import By

from masakari.tests.functional.program import free_port
from masakari.tests.functional.realcloud import programs, testbed

TOOL = testbed.TREE / "tools" / "realcloud" / "horizon"
CHROMIUM = "/usr/bin/chromium"
DRIVER = "/usr/bin/chromedriver"
PATIENCE_S = 30


@contextlib.contextmanager
def served(env, log):
    """The URL of a Horizon of the cloud, which runs meanwhile."""
    if subprocess.run([TOOL, "installed"], check=False).returncode:
        pytest.skip(f"Horizon is not installed; {TOOL} install does that")
    port = free_port()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [TOOL, "serve", str(port)], env=os.environ | env, stdout=output, stderr=output
        )
    try:
        testbed.wait("Horizon listens", lambda: programs.is_listening(port), 60)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


class Browser:
    """One window; *directory* is where its screenshots go."""

    def __init__(self, url, directory):
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
            options.add_argument(f"--{argument}")
        options.add_argument("--window-size=1400,900")
        self._driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        self._url, self._directory = url, directory
        self._taken = 0

    def quit(self):
        self._driver.quit()

    def log_in(self, env):
        self.open("/auth/login/")
        self.fill("id_username", env["OS_USERNAME"])
        self.fill("id_password", env["OS_PASSWORD"])
        self.shoot("login")
        self.click("#loginBtn")
        self.wait_for("Instance-ha")

    # ---- looking

    def open(self, path):
        self._driver.get(self._url + path)

    def text(self, css="body"):
        """What is to be read there."""
        return "\n".join(found.get_property("innerText") for found in self._all(css))

    def rows(self, table):
        """The rows of the table: its cells, by the names of the columns."""
        names = [cell.text for cell in self._all(f"#{table} thead th")]
        return [
            dict(
                zip(
                    names,
                    [
                        cell.get_property("innerText").strip()
                        for cell in row.find_elements(By.CSS_SELECTOR, "td")
                    ],
                    strict=False,
                )
            )
            for row in self._all(f"#{table} tbody tr:not(.empty)")
        ]

    def wait_for(self, text, css="body"):
        """The text is to be read there."""
        testbed.wait(f"the page says {text!r}", lambda: text in self._calmly(css), PATIENCE_S)

    def shoot(self, name):
        """Keep what the window shows."""
        self._taken += 1
        self._driver.save_screenshot(self._directory / f"{self._taken:02}-{name}.png")

    # ---- doing

    def click(self, css):
        """Click on what is there, as soon as it can be clicked on."""
        testbed.wait(f"{css} can be clicked on", lambda: self._clicked(css), PATIENCE_S)

    def fill(self, field, text):
        """The field of a form, by its id, has that text."""
        testbed.wait(f"there is a field {field}", lambda: self._shown(f"#{field}"), PATIENCE_S)
        found = self._all(f"#{field}")[0]
        found.clear()
        found.send_keys(text)

    def choose(self, field, value):
        """The option of a selection, by its id, is chosen."""
        option = f'#{field} option[value="{value}"]'
        testbed.wait(f"there is {option}", lambda: self._all(option), PATIENCE_S)
        # Horizon hides the element behind one of its own
        self._driver.execute_script(
            "arguments[0].selected = true; jQuery(arguments[0].parentNode).trigger('change')",
            self._all(option)[0],
        )

    # ---- within

    def _all(self, css):
        return self._driver.find_elements(By.CSS_SELECTOR, css)

    def _shown(self, css):
        return [found for found in self._all(css) if found.is_displayed()]

    def _clicked(self, css):
        with contextlib.suppress(
            exceptions.ElementNotInteractableException,
            exceptions.StaleElementReferenceException,
        ):
            for found in self._shown(css)[:1]:
                found.click()
                return True
        return False

    def _calmly(self, css):
        with contextlib.suppress(exceptions.StaleElementReferenceException):
            return self.text(css)
        return ""
