"""Language models: a branch of its own, of suites with `kind: language`, whose rows never stand beside images.

check        such a suite, checked before anything is trained; its keys are in genbench/suites/language.py
published    published models: from the model hub, or a folder
text         from files of text to tokens, and what is counted in them
models       an OPT by configuration, or a published model, by Hugging Face transformers
training     one training: saved as it goes, and continued to the same bits
perplexity   how well a model predicts a text, in strided windows
ngrams       n-gram models to compare with, by NLTK
sampling     texts from prompts, each by its seed
"""
