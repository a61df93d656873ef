"""From the files of a suite to the page that people look at. Never imports torch.

results          reads every JSON file of a suite into one tidy pandas table
row              one row of it: which keys of which record become its columns
missing          why a row has no numbers, and what of it cannot be read
columns          what is measured: names, definitions, which end is better
numerals         how numbers are printed
table            the comparison: means over seeds, the best of each column with its ties, notes
compared         the compared rows of a suite, and where they come from
cells            one number of the comparison: its mean, how far it varies, whether it is the best
files            the files behind each row, as links
since            what has changed since the last run
published        numbers that others published, for orientation
exports          the comparison as files for a paper
latex            text as LaTeX prints it
origins          where results come from, as their files say
drawing          plots as SVG in the page's own colours
plots            quality against time
compute          quality against the cost of training, for recipes at several budgets
few_steps        the best row within so many network evaluations
comparisons      a plot for wide and for narrow windows, with its caption
curves           curves over training
snapshots        what is compared over training: snapshots, held-out images
sampler_studies  what the number of steps and their noise do to the samples of a model, and of all models
noise_schedules  noise schedules, and the terms of the bound on the likelihood
schemes          quantised networks beside the float32 network
pictures         sample grids and other pictures as data URIs
samples          which of them the page has
kept             what was made of the same bytes before
sections         what the page says about one model
report           what a suite's page shows, part by part
overview         several suites on one page
page             Jinja2: the page of a suite, and the index over several
publish          writes them
outcome          what a run says when it ends
"""
