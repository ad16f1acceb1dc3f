"""Flows as jobs of a Runpod queue: batch work, by workers that take as many at once as they can hold.

job      what a job says, and what it is answered
worker   one job's way: its run is kept, worked on, told of, and taken over where another worker died
room     how many jobs at once this worker can hold
sdk      Runpod's SDK: all that knows it
"""
