"""The maths that families share, one topic per file: from data to noise and back, and the losses.

noise                random numbers that depend only on seeds
schedule             how much noise there is at time t; q_sample and q_posterior
samplers             the steps of the reverse process
time_samplers        which times a training draws
variational_bound    the bound on the likelihood, term by term
augmentation         flipped, rotated and shifted images; the network sees the parameters
degradations         the degradations that cold diffusion undoes
adversarial          objectives and penalties of GANs
averages             averages of weights whose length is chosen after the training
densities            densities fitted to latents
"""
