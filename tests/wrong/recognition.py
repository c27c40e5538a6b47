"""Wrong versions of the residual line, FractalNet and the first lesson."""

from __future__ import annotations

import torch

from wrong.errors import Wrong


def relu_left_behind_the_addition(self, x):
    return RIGHT_UNIT(self, x).relu()


def projection_of_the_raw_input(self, x):
    activates, self.activates = self.activates, False
    try:
        return RIGHT_UNIT(self, x)
    finally:
        self.activates = activates


def sum_classified_without_an_activation(self, image):
    return self.output(self.units(self.stem(image)).mean((2, 3)))


def divided_by_p_in_training_and_weighted_at_test(self, image, alive=None):
    return RIGHT_STOCHASTIC(self, image, None if alive is None else [a / p for a, p in zip(alive, self.p)])


def blocks_counted_from_0(blocks, last=0.5, decay="linear"):
    return [1 - block / blocks * (1 - last) for block in range(blocks)]


def coins_not_weighted_at_test(self, image, alive=None):
    return RIGHT_STOCHASTIC(self, image, [1.0] * len(self.p) if alive is None else alive)


def chance_averaged_over_processes(numbers, opt, device):
    return opt.mean(torch.rand(numbers).to(device)).tolist()


def dropped_blocks_computed_and_multiplied_by_0(self, x, share=1.0):
    return (share * self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + self.downsample(x)).relu()


def join_by_sum(outputs):
    return torch.stack(list(outputs)).sum(0)


def all_stay_where_all_would_be_dropped(chance, columns, blocks, local_drop, global_share):
    from paperzoo.papers.recognition.fractalnet import joins, one_column

    if chance[0] < global_share:
        return one_column(int(chance[1] * columns), columns, blocks)
    numbers = iter(chance[2:])
    return [[[c for c in ends if next(numbers) >= local_drop] or ends for ends in joins(columns)] for _ in range(blocks)]


def a_column_a_block(chance, columns, blocks, local_drop, global_share):
    from paperzoo.papers.recognition.fractalnet import one_column

    if chance[0] < global_share:
        return [one_column(int(c * columns), columns, 1)[0] for c in chance[1 : 1 + blocks]]
    return RIGHT_PATHS(chance, columns, blocks, local_drop, global_share)


def joins_nested_two_by_two(outputs):
    """((a + b) / 2 + c) / 2: the columns weigh 1/4, 1/4 and 1/2."""
    mean = outputs[0]
    for output in outputs[1:]:
        mean = (mean + output) / 2
    return mean


def softmax_before_the_loss(name, output, label):
    return RIGHT_LOSS(name, output.softmax(1), label)


from paperzoo.papers.recognition.cnn import loss_of as RIGHT_LOSS  # noqa: E402
from paperzoo.papers.recognition.fractalnet import draw_paths as RIGHT_PATHS  # noqa: E402
from paperzoo.papers.recognition.preact_resnet import Unit  # noqa: E402
from paperzoo.papers.recognition.stochastic_depth import StochasticResNet  # noqa: E402

RIGHT_UNIT, RIGHT_STOCHASTIC = Unit.forward, StochasticResNet.forward

WRONG = [
    Wrong("ReLU left behind the addition", {"papers.recognition.preact_resnet.Unit.forward": relu_left_behind_the_addition},
          "preact_resnet", "papers.recognition.test_preact_resnet:test_signal_is_the_sum_of_what_the_units_add"),
    Wrong("projection of the raw input", {"papers.recognition.preact_resnet.Unit.forward": projection_of_the_raw_input}, "preact_resnet",
          "papers.recognition.test_preact_resnet:test_units_by_hand", {"bottleneck": True}),
    Wrong("no activation behind the last unit",
          {"papers.recognition.preact_resnet.PreActResNet.forward": sum_classified_without_an_activation},
          "preact_resnet", "papers.recognition.test_preact_resnet:test_one_more_activation_stands_before_the_mean"),
    Wrong("survival counted twice",
          {"papers.recognition.stochastic_depth.StochasticResNet.forward": divided_by_p_in_training_and_weighted_at_test},
          "stochastic_depth", "papers.recognition.test_stochastic_depth:test_expected_training_output_is_the_test_output_of_a_linear_block"),
    Wrong("survival forgotten at test", {"papers.recognition.stochastic_depth.StochasticResNet.forward": coins_not_weighted_at_test},
          "stochastic_depth", "papers.recognition.test_stochastic_depth:test_expected_training_output_is_the_test_output_of_a_linear_block"),
    Wrong("blocks counted from 0", {"papers.recognition.stochastic_depth.survival_probabilities": blocks_counted_from_0},
          "stochastic_depth", "papers.recognition.test_stochastic_depth:test_survival_decays_linearly", {"blocks": 54}),
    Wrong("coins of several processes averaged", {"papers.recognition.stochastic_depth.common_chance": chance_averaged_over_processes},
          "stochastic_depth", "papers.recognition.test_stochastic_depth:test_common_chance_is_uniform_whatever_the_number_of_processes", {"processes": 2}),
    Wrong("dropped blocks computed all the same",
          {"papers.recognition.stochastic_depth.StochasticBlock.forward": dropped_blocks_computed_and_multiplied_by_0}, "stochastic_depth",
          "papers.recognition.test_stochastic_depth:test_a_dropped_block_is_its_shortcut_and_is_not_computed"),
    Wrong("join by sum", {"papers.recognition.fractalnet.join": join_by_sum}, "fractalnet",
          "papers.recognition.test_fractalnet:test_join_is_the_mean_of_those_that_are_there"),
    Wrong("joins nested two by two", {"papers.recognition.fractalnet.join": joins_nested_two_by_two}, "fractalnet",
          "papers.recognition.test_fractalnet:test_block_follows_the_expansion_rule"),
    Wrong("all paths stay where all would be dropped", {"papers.recognition.fractalnet.draw_paths": all_stay_where_all_would_be_dropped},
          "fractalnet", "papers.recognition.test_fractalnet:test_local_paths_keep_at_least_one_input_of_each_join"),
    Wrong("a column of its own for each block", {"papers.recognition.fractalnet.draw_paths": a_column_a_block}, "fractalnet",
          "papers.recognition.test_fractalnet:test_global_paths_are_one_column_of_the_whole_network_half_of_the_time"),
    Wrong("softmax before a loss by name", {"papers.recognition.cnn.loss_of": softmax_before_the_loss}, "cnn",
          "papers.recognition.test_cnn:test_losses_against_their_definitions"),
]  # fmt: skip
