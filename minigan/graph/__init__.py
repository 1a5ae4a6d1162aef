"""The computation graph of a step of the game: recorded, laid out, drawn.

>>> from minigan import graph, objectives, optim, ones, randn
>>> from minigan.nn import Linear
>>> from minigan.train.step import Game
>>> G, D = Linear(3, 2), Linear(2, 1)
>>> sgd_G, sgd_D = optim.SGD(G.parameters(), lr=0.1), optim.SGD(D.parameters(), lr=0.1)
>>> game = Game(G, D, sgd_G, sgd_D, objectives.build("non-saturating"), lambda n: randn(n, 3))
>>> for step in graph.record(game, ones(4, 2)):
...     print(step.title, [node.title for node in step.nodes][:4])
(1) Update D ['noise z', 'Linear', 'real images x', 'Linear']
(2) Update G ['noise z', 'Linear', 'Linear', 'BCEWithLogits, target 1 (real)']
"""

from minigan.graph.draw import dot, svg
from minigan.graph.record import Edge, Graph, Node, record

__all__ = ["Edge", "Graph", "Node", "dot", "record", "svg"]
