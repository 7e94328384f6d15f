"""Reads sketches that evs wrote, and compares them with sketches of the same values.

For each NAME it prints the estimate of FOLDER/NAME.sketch, whether the registers are those of the values in
FOLDER/NAME.values, one a line, and the estimate of the union of all sketches up to this one.
"""

import sys

import datasketches

folder, names = sys.argv[1], sys.argv[2:]
union = datasketches.hll_union(12)
for name in names:
    with open(f"{folder}/{name}.sketch", "rb") as file:
        image = file.read()
    sketch = datasketches.hll_sketch.deserialize(image)
    union.update(sketch)
    # All registers are there from the beginning, as in the sketches of evs.
    own = datasketches.hll_sketch(12, datasketches.tgt_hll_type.HLL_8, True)
    with open(f"{folder}/{name}.values", encoding="utf-8") as file:
        for line in file:
            own.update(line.rstrip("\n"))
    # The first 16 bytes are flags and an estimate that depends on the order of the values.
    is_same = own.serialize_updatable()[16:] == image[16:]
    print(name, sketch.get_estimate(), is_same, union.get_estimate())
