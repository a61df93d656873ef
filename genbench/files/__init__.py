"""Files that appear whole or not at all, and are checked whenever they are read.

artifacts    JSON records, hashes, atomic writing
npz          arrays, without pickle
scratch      copies on a node's own disk
weights      tensors: safetensors with their description
substitutes  what often lies in a downloaded file's place
changes      whether a user's files are still those that were read
locks        one process at a time
downloads    files of the network, with checksums
archives     zip and tar, never unpacked outside their folder
hub          checkpoints of the model hub
"""
