"""From a suite's entry to trained weights.

recipe     the keys of `training`
batches    images in the order that the seed gives
windows    windows of a text in the order that the seed gives
trainer    what one step does
history    losses and validation, line by line
loop       a training from its last save to its end, whatever is trained
run        that of a model of images
folder     where a training lies, whether it is finished, what is published
"""
