"""From a suite's entry to trained weights.

recipe     the keys of `training`
batches    images in the order that the seed gives
windows    windows of a text in the order that the seed gives
trainer    what one step does
history    losses and validation, line by line
loop       the loop of any training, from its last save to its end
run        the training of a model of images
folder     the folder of a training, whether it is finished, what is published
"""
