"""Language models: a separate branch for suites with `kind: language`, never in one table with models of images.

text         from text to tokens, and the counts of words, bytes and tokens
models       an OPT by configuration, or a published model, by Hugging Face transformers
training     one training, by the trainer and the loop of genbench/training
perplexity   how well a model predicts a text, in strided windows
ngrams       n-gram models to compare with, by NLTK
sampling     texts from prompts, each by its seed
"""
