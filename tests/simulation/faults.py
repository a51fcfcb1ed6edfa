"""Which faults strike, and when: drawn per kind from its own stream of chance, counted, and left out when told."""

import random
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.network import CLIENTS
from tests.simulation.plan import HAPPENING_NAMES, Happening

if TYPE_CHECKING:
    from tests.simulation.world import World

RESTART_AFTER_S = 0.3


class Chances(defaultdict[str, random.Random]):
    """A stream of chance for each purpose, so that more of one does not change the others."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def __missing__(self, purpose: str) -> random.Random:
        self[purpose] = random.Random(f"{self._seed} {purpose}")
        return self[purpose]


class Faults:
    """See the module. `injected` counts what has struck, by kind."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._rates = world.plan.rates
        self._skipped = frozenset(world.plan.skipped)
        self._numbers = 0
        self.injected: Counter[str] = Counter()
        self.are_over = False
        self.most_wrong_s = 0.0
        """How far any clock was ever from the truth."""

    def strikes(self, kind: str) -> bool:
        """Whether this fault happens now."""
        rate = self._rates.get(kind)
        if rate is None or self.are_over:
            return False
        if self._world.chances[kind].random() >= rate:
            return False
        self._numbers += 1
        if self._numbers in self._skipped:
            return False
        self.injected[kind] += 1
        self._world.note("fault", kind, self._numbers)
        return True

    @property
    def drawn(self) -> int:
        """How many faults came up, those left out included: what a shrinker may choose from."""
        return self._numbers

    async def unfold(self) -> None:
        """Let happen what is planned, until faults are over."""
        world = self._world
        for happening in world.plan.happenings:
            await world.clock.sleep(max(0.0, happening.at_s - world.loop.time()))
            self.injected[HAPPENING_NAMES[happening.kind]] += 1
            world.note("happens", happening.kind, happening)
            self._happen(happening)
        await world.clock.sleep(max(0.0, world.plan.faults_end_s - world.loop.time()))
        await self.end()

    async def end(self) -> None:
        """Nothing goes wrong from here on: clocks are put right, disks have room, every machine is up."""
        world = self._world
        self.are_over = True
        world.network.heal()
        for store in world.stores.values():
            store.full_until = -1.0
        for machine in world.machines:
            machine.clock.offset_s = 0.0
            if machine.process is not None:
                machine.process.spare()
        world.note("faults are over", "", None)

    def _happen(self, happening: Happening) -> None:
        world = self._world
        machine = world.machines[happening.machine]
        process = machine.process
        until = world.loop.time() + happening.for_s
        match happening.kind:
            case "kill":
                if process is not None:
                    process.soon(happening.after_steps, process.die)
            case "freeze":
                if process is not None:
                    process.soon(happening.after_steps, partial(process.freeze, happening.for_s))
            case "cut":
                other = happening.other
                if other.isdigit():
                    other = world.machines[int(other)].name
                if other != CLIENTS or len(world.machines) > 1:
                    world.network.cut(machine.name, other, until=until)
            case "jump":
                machine.clock.offset_s += happening.seconds
                self.most_wrong_s = max(self.most_wrong_s, abs(machine.clock.offset_s))
            case "full":
                world.stores[happening.other].full_until = until
