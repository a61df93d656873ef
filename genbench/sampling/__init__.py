"""From trained weights to images.

checkpoint         a model, rebuilt from its file
averages           weights averaged over a length that the sampler chooses
batch              images of one batch of seeds, and its network evaluations
parts              finished batches on disk, shared among ranks
generation         images from seeds, in batches of one size
quantisation       networks in fewer bits
draw               from a checkpoint to a file of samples
speed              how fast a model samples
imported           samples drawn by other programs
comparison         samples of two networks, image by image
likelihood         bits per dimension of held-out images
likelihood_record  bits per dimension of a file of images
outputs            images as one picture, an npz or a folder
grids              many images as one picture
sheets             pictures of files of images
picture            other pictures by a model, such as reconstructions
"""
