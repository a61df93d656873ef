"""Files that are written whole or not at all, and checked whenever they are read.

artifacts    JSON records, hashes, atomic writing
npz          arrays, without pickle
scratch      copies on a node's own disk
weights      tensors: safetensors with their description
substitutes  what a download often contains instead of the file
changes      whether a user's files have changed since they were read
locks        one process at a time
downloads    files from the network, with checksums
archives     zip and tar, never unpacked outside their folder
hub          checkpoints of the model hub
"""
