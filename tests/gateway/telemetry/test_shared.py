"""Series of several processes, through files."""

import shutil
from pathlib import Path

import pytest

from gateway.telemetry.shared import Names, Roster, SharedSeries
from gateway.telemetry.snapshot import Snapshot, merged


def counted(value: float, queue: float = 0.0) -> Snapshot:
    """A process that has counted so many requests."""
    return Snapshot(totals={"requests": {("routing",): [1.0, value]}}, gauges={"queue": {(): [queue]}})


class Company:
    """Processes in one folder, and their parent."""

    def __init__(self, folder: Path, processes: int = 2) -> None:
        self.folder = folder
        self.roster = Roster(folder)
        self.names = [self.roster.begin(process) for process in range(processes)]
        self.members = [SharedSeries(folder, name, process=process) for process, name in enumerate(self.names)]

    def end(self, process: int) -> None:
        """The process ends, and another one takes its place."""
        self.roster.end(self.names[process])
        self.names[process] = self.roster.begin(process)
        self.members[process] = SharedSeries(self.folder, self.names[process], process=process)


def total(member: SharedSeries, own: float) -> float:
    """What a scrape of ``member`` shows, which has counted ``own`` itself."""
    mine = counted(own)
    member.write(mine)
    return merged([mine, *member.others()]).totals["requests"]["routing",][1]


def test_each_process_sees_what_the_others_wrote(tmp_path: Path) -> None:
    """And not what it wrote itself."""
    company = Company(tmp_path, processes=3)
    for number, member in enumerate(company.members):
        member.write(counted(10.0**number, queue=number))
    seen = [sorted(snapshot.totals["requests"]["routing",][1] for snapshot in m.others()) for m in company.members]
    assert seen == [[10, 100], [1, 100], [1, 10]]
    assert [member.process for member in company.members] == [0, 1, 2]


def test_a_process_that_has_not_written_yet_counts_nothing(tmp_path: Path) -> None:
    """It has only just started."""
    company = Company(tmp_path)
    assert total(company.members[0], 5) == 5


def test_totals_of_a_process_outlive_it_and_its_gauges_do_not(tmp_path: Path) -> None:
    """However often it is started again: counters never go back."""
    company = Company(tmp_path)
    shown = 0.0
    for own in (3, 4, 5):
        company.members[1].write(counted(own, queue=9))
        company.end(1)
        company.members[1].write(counted(1, queue=2))
        assert total(company.members[0], 7) == 7 + shown + own + 1
        whole = merged(company.members[0].others())
        assert whole.gauges == {"queue": {(): [2.0]}}
        shown += own
    assert len(list(tmp_path.iterdir())) <= 4, "a file for each that lives, one for those that ended, and the list"


def test_the_end_of_one_process_is_seen_by_itself_and_its_successor(tmp_path: Path) -> None:
    """The successor begins at nothing and shows all."""
    company = Company(tmp_path)
    company.members[0].write(counted(2))
    company.members[1].write(counted(5))
    company.end(1)
    assert total(company.members[1], 0) == 7
    company.end(0)
    assert total(company.members[0], 0) == 7
    assert total(company.members[1], 0) == 7


def test_a_process_that_ended_before_it_wrote_leaves_nothing(tmp_path: Path) -> None:
    """Such as one that could not begin."""
    company = Company(tmp_path)
    company.end(1)
    assert total(company.members[0], 4) == 4


def test_nothing_is_written_where_nothing_is_new(tmp_path: Path) -> None:
    """An idle gateway leaves the disk alone."""
    company = Company(tmp_path)
    file = tmp_path / company.names[0]
    company.members[0].write(counted(1))
    before = file.stat().st_ino
    company.members[0].write(counted(1))
    assert file.stat().st_ino == before
    company.members[0].write(counted(2))
    assert file.stat().st_ino != before


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Who has it open reads on in what was there; nobody sees a half."""
    company = Company(tmp_path)
    company.members[0].write(counted(1))
    with (tmp_path / company.names[0]).open("rb") as opened:
        before = opened.read()
        company.members[0].write(counted(2))
        opened.seek(0)
        assert opened.read() == before


class EndsMeanwhile(SharedSeries):
    """Another process ends after the list was read and before its file is."""

    def __init__(self, company: Company, times: int) -> None:
        super().__init__(company.folder, company.names[0], process=0)
        self._company = company
        self.ends = times

    def _names(self) -> Names:
        names = super()._names()
        if self.ends:
            self.ends -= 1
            self._company.end(1)
        return names


@pytest.mark.parametrize("times", [1, 4])
def test_a_process_that_ends_while_files_are_read_is_counted_once(tmp_path: Path, times: int) -> None:
    """Its file is gone then, and the list says where its totals are."""
    company = Company(tmp_path)
    company.members[1].write(counted(5))
    assert total(EndsMeanwhile(company, times), 1) == 6


def test_files_are_not_read_for_ever(tmp_path: Path) -> None:
    """Where processes end as fast as one can read, a scrape is answered all the same."""
    assert total(EndsMeanwhile(Company(tmp_path), 1000), 1) == 1


def test_a_folder_that_is_gone_loses_series_and_nothing_else(tmp_path: Path) -> None:
    """A scrape still shows what the process itself has."""
    folder = tmp_path / "folder"
    folder.mkdir()
    company = Company(folder)
    shutil.rmtree(folder)
    assert total(company.members[0], 3) == 3
    with pytest.raises(OSError, match="No such file"):
        company.end(1)
