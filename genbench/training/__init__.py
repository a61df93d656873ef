"""From a suite's entry to trained weights.

recipe     the keys of `training`
flops      the cost of an iteration, found before anything is trained
budget     the steps that a budget in FLOPs pays for
batches    images in the order that the seed gives
windows    windows of a text in the order that the seed gives
trainer    what one step does
history    losses and validation, line by line
loop       the loop of any training, from its last save to its end
run        the training of a model of images
claim      which training a folder belongs to
folder     the folder of a training, whether it is finished, what is published
"""
