"""From the files of a suite to the page that people look at. Never imports torch.

results   reads every JSON file of a suite into one tidy pandas table
table     compares rows: means over seeds, the best of each column with its ties, footnotes
plots     quality against time, learning curves, as SVG in the page's own colours
pictures  sample grids as data URIs
page      Jinja2: one page a suite, and the index over all suites
"""
