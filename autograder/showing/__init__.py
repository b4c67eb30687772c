"""Chapters in a browser: demo pages, the static site, JupyterLab, and the README's pictures.

In: source/ and release/. Out: pages. `played` runs a chapter once and keeps its live figures (`recorder`), `demo_pages`
and `site_pages` write pages of them: the first count predictions (`ballots`), the second move without a kernel
(`moving`). `demo` and `lab` serve, `browser` drives Chromium.
"""
