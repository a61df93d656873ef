"""Train a model of handwritten digits and draw a picture, in a minute or two on two cores."""

from genbench import load_suite, sample, show, train

suite = load_suite("demo")  # 5,000 digits that come with a Python package, and a small model of every family
print("models:", ", ".join(suite["models"]))
model = train(suite, "ddpm", folder="quickstart")  # a second run resumes it, or loads it if finished
images = sample(model, seeds=range(64), method="ddim", steps=20)  # uint8 (64, 28, 28, 1): image i depends on seed i
show(images).save("digits.png")
print("digits.png: 64 images")
