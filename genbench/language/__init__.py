"""Language models: a branch of its own, of suites with `kind: language`, whose rows never stand beside images.

text         from text to tokens, and what is counted in them
models       an OPT by configuration, or a published model, by Hugging Face transformers
training     one training, by the trainer and the loop of genbench/training
perplexity   how well a model predicts a text, in strided windows
ngrams       n-gram models to compare with, by NLTK
sampling     texts from prompts, each by its seed
"""
