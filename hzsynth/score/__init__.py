"""How close a generated set is to the photographs, and whether it copies them.

`scoring` is the stage; `catalogue` names the metrics, each of which is one file of `metrics`. Importing
this room, its configuration and its catalogue costs no torch.
"""
