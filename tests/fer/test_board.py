"""What TensorBoard shows of a run that went back and on again."""

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer.training.board import open_board


def test_epochs_that_were_taken_back_are_shown_once(tmp_path):
    """As after a rollback, or a kill before the state of the last epochs was kept."""
    for since, values in ((1, [0.1, 0.2, 0.9]), (2, [0.25, 0.3])):
        with open_board(tmp_path, since) as board:
            for epoch, value in enumerate(values, since):
                board.add_scalar("validation/loss", value, epoch)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    shown = [(event.step, round(event.value, 4)) for event in events.Scalars("validation/loss")]
    assert shown == [(1, 0.1), (2, 0.25), (3, 0.3)]
