"""From a suite's entry to trained weights.

recipe     the keys of `training`
batches    images in the order that the seed gives
trainer    what one step does
history    losses and validation, line by line
run        one training from its last save to its end
folder     where a training lies, whether it is finished, what is published
"""
