"""A project to begin with: what ``tiergate-orchestrator new`` writes.

names     what a project's name makes: its folder, its package, its Flow's class
project   the template's files with these names in them, written where nothing is yet
template  the files themselves, package data
"""
