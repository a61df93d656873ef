"""Turns a suite's result files into its page. Never imports torch.

results          reads every JSON file of a suite into one tidy pandas table
row              one row of that table: which keys of which records become its columns
missing          why a row has no numbers, and which files cannot be read
columns          every quantity: its name, its definition, and whether higher or lower is better
numerals         how numbers are printed
table            the comparison: means over seeds, the best of each column with its ties, notes
compared         a suite's compared rows, and where they come from
cells            one number of the comparison: its mean, its standard deviation, whether it is the best
files            the files behind each row, as links
since            what has changed since the last run
published        numbers published by others, for orientation
exports          the comparison as files for a paper
latex            text escaped for LaTeX
origins          where results come from, according to their files
drawing          plots as SVG in the page's colours
plots            quality against time
compute          quality against the cost of training, for recipes at several budgets
few_steps        the best row for each limit on network evaluations
comparisons      a plot in two sizes, for wide and narrow windows, with its caption
curves           curves over training
snapshots        quality during training: of snapshots, and on held-out images
sampler_studies  how the number of steps and their noise affect samples, for one model and for all
noise_schedules  noise schedules, and the terms of the bound on the likelihood
schemes          quantised networks compared with the float32 network
pictures         sample grids and other pictures as data URIs
samples          which pictures the page shows
kept             a cache of what was made from the same bytes before
sections         what the page says about one model
report           the content of a suite's page, part by part
overview         several suites on one page
page             Jinja2: the page of a suite, and the index over several
publish          writes the pages
outcome          what a run prints when it ends
"""
