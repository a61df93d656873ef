"""The maths that families share, each in one file: from data to noise and back, and what is learned on the way.

noise                random numbers that depend on seeds only
schedule             how much noise there is at time t; q_sample and q_posterior
samplers             the reverse process, and the steps that walk it
time_samplers        which times a training looks at
variational_bound    the bound on the likelihood, term by term
augmentation         images flipped, turned and moved, and how, which the network sees
degradations         what cold diffusion undoes
adversarial          objectives and penalties of GANs
averages             averages of weights whose length is chosen after the training
densities            densities fitted to latents
"""
