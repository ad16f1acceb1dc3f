"""Several processes that are one gateway, behind one port: ``tiergate-gateway serve --processes N``.

``parent`` binds a listening socket for each, starts the store, watches the tier map, and keeps a ``seat`` for each
socket: the process that serves it, started again when it dies, replaced when it is to. A ``member`` is one such process
as the parent sees it, the ``crew`` is all of them. ``child`` is what a process runs, ``parent_line`` how it hears its
parent, ``assignment`` what the two say to each other, ``sockets`` the listening sockets.
"""
