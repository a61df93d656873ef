"""From the files of a suite to the page that people look at. Never imports torch.

results   reads every JSON file of a suite into one tidy pandas table
columns   what is measured: names, definitions, which end is better
numerals  how numbers are printed
table     the comparison: means over seeds, the best of each column with its ties, notes
drawing   plots as SVG in the page's own colours
plots     quality against time
curves    curves over training
progress  what is compared over training: snapshots, held-out images
sampling  what the number of steps and their noise do to a model's samples
diffusion noise schedules, and the terms of the bound on the likelihood
pictures  sample grids and other pictures as data URIs
sections  what the page tells about one model
report    what a suite's page shows, part by part
page      Jinja2: the page of a suite, and the index over several
publish   writes them
outcome   what a run says when it ends
"""
