"""Both halves under the themes of Django's admin that projects use.

A theme is chosen in the settings, so each needs a run of its own: `tox run -e themes`, or, for one,
`ADMIN_THEME=unfold pytest tests/browser/themes --ds=tests.browser.themes.settings`.
"""
