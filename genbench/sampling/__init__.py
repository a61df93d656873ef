"""From trained weights to images.

checkpoint         a model, rebuilt from its file
batch              images of one batch of seeds, and its network evaluations
parts              its finished batches on disk, dealt out among ranks
generation         images from seeds, in batches of one size
quantisation       networks in fewer bits
draw               from a checkpoint to a file of samples
speed              how long that takes
imported           a file of samples that were drawn elsewhere
comparison         samples of two networks, image by image
likelihood         bits per dimension of held-out images
likelihood_record  that of a file of images
grids              many images as one picture
sheets             pictures of files of images
picture            what a model shows of itself
"""
