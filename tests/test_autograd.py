"""The engine's semantics: what is recorded, what flows back, what is refused."""

import threading

import numpy as np
import pytest

import minigan
from minigan import functional as F
from minigan.autograd import Function, Tensor, enable_grad, grad, is_grad_enabled, no_grad


def leaf(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype), requires_grad=True)


def values(tensor):
    return tensor.numpy().tolist()


# Backward -----------------------------------------------------------------------------------


def test_gradients_accumulate_until_they_are_forgotten():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3.0).sum().backward()
    assert values(x.grad) == [5.0, 7.0]
    x.grad = None
    (x * 3.0).sum().backward()
    assert values(x.grad) == [3.0, 3.0]


def test_a_tensor_used_several_times_gets_the_sum():
    x = leaf(2.0)
    y = x * x
    z = y * x + y + x  # x^3 + x^2 + x
    z.sum().backward()
    assert values(x.grad) == [3 * 4 + 2 * 2 + 1.0]


def test_a_diamond_is_walked_in_order():
    # y is used early and late: its gradient must be complete before it is handed on.
    x = leaf(3.0)
    y = x * 2.0
    late = y
    for _ in range(5):
        late = late * 1.5
    (y * late).sum().backward()
    assert values(x.grad) == [2 * 3.0 * 4 * 1.5**5]


def test_only_leaves_keep_a_gradient():
    x = leaf(1.0)
    y = x * 2.0
    (y * y).sum().backward()
    assert x.is_leaf
    assert not y.is_leaf
    assert y.grad is None
    assert values(x.grad) == [8.0]


def test_backward_with_a_gradient_in_front():
    x = leaf(1.0, 2.0)
    (x * x).backward(Tensor(np.array([1.0, 10.0])))
    assert values(x.grad) == [2.0, 40.0]


@pytest.mark.parametrize(
    ("start", "error", "message"),
    [
        (lambda x: (x * x).backward(), RuntimeError, "needs a gradient of that shape"),
        (lambda x: (x * x).backward(Tensor(np.ones(3))), RuntimeError, "must be equal"),
        (
            lambda x: (x * x).backward(Tensor(np.ones(2, np.float32))),
            RuntimeError,
            "must be equal",
        ),
        (lambda x: (x * x).backward(np.ones(2)), TypeError, "must be a tensor, not ndarray"),
        (lambda x: x.detach().sum().backward(), RuntimeError, "does not require grad"),
    ],
)
def test_backward_refuses(start, error, message):
    with pytest.raises(error, match=message):
        start(leaf(1.0, 2.0))


def test_backward_from_a_leaf():
    x = leaf(2.0)
    x.backward()
    assert values(x.grad) == [1.0]


def test_the_graph_is_freed_and_says_so():
    x = leaf(2.0)
    y = (x.exp() * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"second time .* freed at .*retain_graph=True"):
        y.backward()


def test_the_graph_is_freed_for_what_was_built_on_it_too():
    x = leaf(2.0)
    y = x.exp()
    y.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        (y * 2.0).sum().backward()


def test_retain_graph_allows_a_second_backward():
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert values(x.grad) == [8.0]


def test_backward_into_chosen_leaves_only():
    a, b = leaf(2.0), leaf(3.0)
    (a * b).sum().backward(inputs=[a, a])  # named twice, added once
    assert values(a.grad) == [3.0]
    assert b.grad is None
    y = a * b
    with pytest.raises(RuntimeError, match="leaves only"):
        y.sum().backward(inputs=[y])


def test_backward_with_create_graph_leaves_a_gradient_to_differentiate():
    x = leaf(3.0)
    (x * x * x).sum().backward(create_graph=True)
    (second,) = grad(x.grad.sum(), [x])
    assert values(second) == [18.0]


# grad ---------------------------------------------------------------------------------------


def test_grad_returns_and_stores_nothing():
    x = leaf(3.0)
    (g,) = grad((x * x).sum(), [x])
    assert values(g) == [6.0]
    assert x.grad is None
    assert not g.requires_grad


def test_grad_with_respect_to_intermediate_tensors_and_an_output():
    x = leaf(3.0)
    y = x * x
    z = (y * y).sum()
    gx, gy, gz = grad(z, [x, y, z])
    assert (values(gx), values(gy), values(gz)) == ([4 * 27.0], [18.0], 1.0)


def test_grad_does_not_walk_what_lies_elsewhere():
    class Unwanted(Function):
        def forward(self, x):
            return x * 2

        def backward(self, gy):
            raise AssertionError("this gradient was not asked for")

    x, elsewhere = leaf(1.0), leaf(1.0)
    y = Unwanted()(elsewhere)
    (g,) = grad((x * y + y).sum(), [x])
    assert values(g) == [2.0]


def test_grad_of_several_outputs_is_the_sum_with_factors():
    x = leaf(2.0)
    factors = [Tensor(np.array([10.0])), None]
    (g,) = grad([x * x, (x * 3.0).sum()], x, factors)
    assert values(g) == [43.0]
    with pytest.raises(ValueError, match="as many grad_outputs"):
        grad([x * x, x * 3.0], [x], [None])


def test_grad_is_differentiable_with_respect_to_grad_outputs():
    x, v = leaf(2.0, 3.0), leaf(1.0, 1.0)
    (g,) = grad(x * x, [x], v, create_graph=True)  # 2 x v
    gx, gv = grad(g.sum(), [x, v])
    assert (values(gx), values(gv)) == ([2.0, 2.0], [4.0, 6.0])


def test_grad_refuses_an_input_without_influence():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match=r"input 1 of grad.* no influence"):
        grad(x.sum(), [x, y])
    with pytest.raises(RuntimeError, match=r"input 0 of grad.* does not require grad"):
        grad(x.sum(), [y.detach()])


def test_an_influence_without_slope_is_zero():
    x = leaf(2.0, 3.0)
    (g,) = grad((x**0).sum(), [x])
    assert values(g) == [0.0, 0.0]


def test_third_derivative_of_a_polynomial():
    x = leaf(2.0, -1.0)
    y = 2.0 * x**4 - x * x * x + 5.0 * x
    (first,) = grad(y.sum(), [x], create_graph=True)
    (second,) = grad(first.sum(), [x], create_graph=True)
    (third,) = grad(second.sum(), [x], create_graph=True)
    (fourth,) = grad(third.sum(), [x])
    assert values(first) == [64.0 - 12.0 + 5.0, -8.0 - 3.0 + 5.0]
    assert values(second) == [96.0 - 12.0, 24.0 + 6.0]
    assert values(third) == [96.0 - 6.0, -48.0 - 6.0]
    assert values(fourth) == [48.0, 48.0]


# What is recorded ---------------------------------------------------------------------------


def test_detach_cuts_the_graph_and_shares_the_memory():
    x = leaf(2.0)
    y = x.detach()
    assert not y.requires_grad
    assert np.shares_memory(y.array, x.array)
    (x * (x * x).detach()).sum().backward()
    assert values(x.grad) == [4.0]


def test_no_grad_and_enable_grad():
    x = leaf(1.0)
    with no_grad():
        assert not (x * 2.0).requires_grad
        with enable_grad():
            assert (x * 2.0).requires_grad
        assert not is_grad_enabled()
    assert (x * 2.0).requires_grad

    @no_grad()
    def f():
        return x * 2.0

    assert not f().requires_grad
    assert is_grad_enabled()


def test_no_grad_ends_with_an_error():
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()


def test_no_grad_holds_for_one_thread():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_nothing_is_recorded_without_need():
    assert (Tensor(np.ones(2)) * 2.0).grad_fn is None


def test_requires_grad_is_for_floats_and_leaves():
    with pytest.raises(TypeError, match="only float tensors"):
        Tensor(np.arange(3), requires_grad=True)
    with pytest.raises(RuntimeError, match=r"use detach\(\)"):
        (leaf(1.0) * 2.0).requires_grad_(False)


def test_a_function_is_one_node():
    function = F.arithmetic.Exp()
    x = leaf(1.0)
    y = function(x)
    with pytest.raises(RuntimeError, match="make a new one for each use"):
        function(y)


def test_a_backward_must_return_a_gradient_for_each_input():
    class Forgetful(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            return gy

    with pytest.raises(RuntimeError, match="Forgetful returned 1 gradients for 2 inputs"):
        Forgetful()(leaf(1.0), leaf(1.0)).sum().backward()


def test_a_gradient_of_the_wrong_shape_is_refused():
    class Forgetful(Function):
        def forward(self, a, b):
            return a + b

        def backward(self, gy):
            return gy, gy

    row = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"shape \(3, 2\) came back to a leaf of shape \(2,\)"):
        Forgetful()(Tensor(np.ones((3, 2))), row).sum().backward()


# Changes in place ---------------------------------------------------------------------------

CHANGES = {
    "copy_": lambda t: t.copy_(np.zeros(2)),
    "fill_": lambda t: t.fill_(7.0),
    "zero_": lambda t: t.zero_(),
    "clamp_": lambda t: t.clamp_(0.0, 0.1),
    "setitem": lambda t: t.__setitem__(0, 9.0),
    "add_": lambda t: t.add_(1.0),
    "sub_": lambda t: t.sub_(1.0),
    "mul_": lambda t: t.mul_(2.0),
    "div_": lambda t: t.div_(2.0),
    "+=": lambda t: t.__iadd__(1.0),
    "-=": lambda t: t.__isub__(1.0),
    "*=": lambda t: t.__imul__(2.0),
    "/=": lambda t: t.__itruediv__(2.0),
    ".data =": lambda t: setattr(t, "data", Tensor(np.zeros(2))),
    ".data +=": lambda t: setattr(t, "data", t.data.__iadd__(1.0)),
    ".data.add_": lambda t: t.data.add_(1.0),
    "detach().mul_": lambda t: t.detach().mul_(2.0),
    "view.add_": lambda t: t.view(2, 1).add_(1.0),
    "slice.zero_": lambda t: t[:1].zero_(),
    "transpose.setitem": lambda t: t.view(1, 2).T.__setitem__((0, 0), 9.0),
    "view of detach": lambda t: t.detach().view(1, 2)[0].add_(1.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_parameter_is_noticed(change):
    w = leaf(1.0, 2.0)
    y = (w * w).sum()
    with no_grad():
        change(w)
    with pytest.raises(RuntimeError, match="Mul needs was changed in place"):
        y.backward()


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_constant_is_noticed(change):
    w, constant = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    y = (w * constant).sum()
    change(constant)  # allowed: it does not require grad; but backward needs the old values
    with pytest.raises(RuntimeError, match="Mul needs was changed in place"):
        y.backward()


def test_a_changed_output_is_noticed():
    x = leaf(1.0, 2.0)
    y = x.exp()
    with no_grad():
        y.mul_(2.0)
    with pytest.raises(RuntimeError, match="Exp needs was changed in place"):
        y.sum().backward()


def test_a_change_of_the_base_is_noticed_in_a_view():
    w, base = leaf(1.0, 2.0), Tensor(np.ones((2, 2)))
    y = (w * base[0]).sum()
    base.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_through_assigned_data_is_noticed():
    w, other = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    w.data = other
    y = (w * w).sum()
    other.zero_()  # the same memory
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_that_backward_does_not_need_is_allowed():
    x = leaf(1.0, 2.0)
    y = x + 1.0
    with no_grad():
        y.mul_(2.0)
        x.add_(1.0)
    y.sum().backward()
    assert values(x.grad) == [1.0, 1.0]


def test_a_copy_is_not_a_view():
    w, constant = leaf(1.0, 2.0), Tensor(np.array([3.0, 4.0]))
    picked = constant[np.array([0, 1])]  # gathered: memory of its own
    y = (w * picked).sum()
    constant.zero_()
    y.backward()
    assert values(w.grad) == [3.0, 4.0]


@pytest.mark.parametrize("name", [n for n in CHANGES if "data" not in n and "detach" not in n])
def test_a_parameter_cannot_be_changed_while_recording(name):
    w = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"requires grad: do it inside no_grad\(\)"):
        CHANGES[name](w)
    assert values(w) == [1.0, 2.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda t, w: t.copy_(w),
        lambda t, w: t.__setitem__(0, w[0]),
        lambda t, w: t.add_(w),
        lambda t, w: t.mul_(w),
    ],
)
def test_a_change_with_a_recorded_source_would_lose_its_gradient(change):
    t, w = Tensor(np.zeros(2)), leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="in-place change with a tensor"):
        change(t, w)
    with no_grad():
        change(t, w)


def test_augmented_assignment_in_the_graph_makes_a_new_tensor():
    x = leaf(1.0, 2.0)
    total = Tensor(np.zeros(2))
    before = total
    total += x * x
    total *= 2.0
    total.sum().backward()
    assert values(before) == [0.0, 0.0]
    assert values(x.grad) == [4.0, 8.0]


def test_augmented_assignment_outside_the_graph_changes_the_memory():
    t = Tensor(np.zeros(2))
    before = t
    t += 1.0
    assert before is t
    assert values(t) == [1.0, 1.0]


def test_an_integer_tensor_does_not_swallow_a_fraction():
    counts = Tensor(np.array([1, 2]))
    with pytest.raises(TypeError, match="does not fit into a tensor of int64"):
        counts += 0.5
    counts += 1
    assert values(counts) == [2, 3]


def test_numpy_gives_a_read_only_view():
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match="read-only"):
        x.numpy()[0] = 5.0
    np.asarray(x)[0] = 5.0  # a copy
    assert values(x) == [1.0, 2.0]


def test_data_takes_tensors_only():
    with pytest.raises(TypeError, match="takes a tensor, not ndarray"):
        leaf(1.0).data = np.zeros(1)


# Types --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b: a + b,
        lambda a, b: b * a,
        lambda a, b: a @ b,
        lambda a, b: F.maximum(a, b),
        lambda a, b: F.where(np.array([True, False]), a, b),
        lambda a, b: F.cat([a, b]),
        lambda a, b: F.mse_loss(a, b),
        lambda a, b: F.linear(a, b.view(1, 2)),
        lambda a, b: a * b.numpy(),
        lambda a, b: a.add_(b),
    ],
)
def test_float32_and_float64_are_not_mixed(operation):
    with pytest.raises(TypeError, match=r"mixture of numpy float(32|64), numpy float(32|64)"):
        operation(Tensor(np.ones(2, np.float32)), Tensor(np.ones(2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "number", [2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.array(2), np.bool_(True)]
)
def test_numbers_take_the_tensors_dtype(number, dtype):
    x = leaf(1.0, 4.0, dtype=dtype)
    results = [x + number, number + x, x - number, number - x, x * number, number * x]
    results += [x / number, number / x, F.maximum(x, number)]
    if not isinstance(number, (bool, np.bool_, np.ndarray)):
        results += [x**number, F.clip(x, 0, number)]
    for y in results:
        assert isinstance(y, Tensor)
        assert y.dtype == dtype
        (g,) = grad(y.sum(), [x])
        assert g.dtype == dtype
    assert values(number - x) == [float(number) - 1, float(number) - 4]


def test_arrays_are_operands_on_both_sides():
    x, array = leaf(1.0, 2.0), np.array([3.0, 5.0])
    for y, expected in [
        (array * x, [3.0, 10.0]),
        (x * array, [3.0, 10.0]),
        (array - x, [2.0, 3.0]),
        (array / x, [3.0, 2.5]),
        (x @ array, 13.0),
    ]:
        assert isinstance(y, Tensor)
        assert values(y) == expected
    (g,) = grad((array * x).sum(), [x])
    assert values(g) == [3.0, 5.0]
    assert values(array > x) == [True, True]


def test_two_numbers_are_not_an_operand_pair():
    with pytest.raises(TypeError, match="one of two operands must be a tensor"):
        F.where(np.array([True]), 1.0, 0.0)


def test_conversion_to_a_number():
    assert float(Tensor(np.array([2.5]))) == 2.5
    assert int(Tensor(np.array([[2.5]]))) == 2
    assert bool(Tensor(np.array(0.0))) is False
    with pytest.raises(ValueError, match="size 1"):
        float(Tensor(np.zeros(2)))


def test_a_cast_gives_the_gradient_back_in_the_inputs_dtype():
    x = leaf(1.0, 2.0, dtype=np.float32)
    (x.double() * 2.0).sum().backward()
    assert x.grad.dtype == np.float32


def test_deep_copies_are_of_leaves_and_independent():
    import copy

    x = leaf(1.0)
    y = copy.deepcopy(x)
    with no_grad():
        y.add_(1.0)
    assert values(x) == [1.0]
    assert y.requires_grad
    with pytest.raises(RuntimeError, match=r"use detach\(\)"):
        copy.deepcopy(x * 2.0)


# Indexing -----------------------------------------------------------------------------------

INDICES = {
    "number": 1,
    "negative": -1,
    "numpy number": np.int64(2),
    "slice": slice(1, None),
    "step": slice(None, None, 2),
    "backwards": slice(None, None, -1),
    "None": None,
    "ellipsis": (..., 0),
    "tuple": (1, slice(0, 2)),
    "new axis": (slice(None), None, 2),
    "list": [0, 2],
    "empty list": [],
    "repeated list": [1, 1, 0, 1],
    "repeated array": np.array([[2, 2], [0, 2]]),
    "tensor": Tensor(np.array([2, 0, 2])),
    "pairs": (np.array([0, 0, 2]), np.array([1, 1, 3])),
    "lists of pairs": ([0, 0, 2], [1, 1, 3]),
    "tuple in a tuple": ((0, 0, 2), (1, 1, 3)),
    "number and repeated": (1, [2, 2, 0]),
    "mixed": (slice(1, None), np.array([3, 3])),
    "mask": np.arange(12).reshape(3, 4) % 5 == 0,
    "row mask": np.array([True, False, True]),
    "tensor mask": Tensor(np.array([True, False, True])),
    "mask and slice": (np.array([True, False, True]), slice(1, 3)),
    "all false": np.zeros((3, 4), bool),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_indexing_gathers_and_scatters(index):
    x = Tensor(np.arange(12.0).reshape(3, 4), requires_grad=True)
    y = x[index]
    plain = index.numpy() if isinstance(index, Tensor) else index
    np.testing.assert_array_equal(y.numpy(), x.numpy()[plain])
    factor = np.random.default_rng(0).standard_normal(y.shape)
    (g,) = grad(y, [x], Tensor(factor))
    # The definition: each element of y passes its factor to the element of x it was taken from.
    source = np.arange(12).reshape(3, 4)[plain]
    expected = np.zeros(12)
    for i, f in zip(np.ravel(source), factor.ravel()):
        expected[i] += f
    np.testing.assert_allclose(g.numpy(), expected.reshape(3, 4), rtol=1e-15, atol=1e-15)


def test_an_index_is_remembered_as_it_was():
    x, index, mask = leaf(1.0, 2.0, 3.0), np.array([0, 0]), np.array([True, False, True])
    y = x[index].sum() + x[mask].sum() * 10.0 + F.where(mask, x, 0.0).sum() * 100.0
    index[:] = 2
    mask[:] = False
    y.backward()
    assert values(x.grad) == [112.0, 0.0, 110.0]


# Broadcasting and dimensions ----------------------------------------------------------------


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 3)), ((1,), (0, 1))])
@pytest.mark.parametrize("operation", [F.arithmetic.add, F.arithmetic.mul, F.maximum])
def test_broadcasting_is_undone(shapes, operation):
    a, b = (Tensor(np.full(s, v), requires_grad=True) for s, v in zip(shapes, (2.0, 3.0)))
    y = operation(a, b)
    y.sum().backward()
    count = y.numel()
    slopes = {"add": (1, 1), "mul": (3, 2), "maximum": (0, 1)}[operation.__name__]
    for x, slope in zip((a, b), slopes):
        assert x.grad.shape == x.shape
        assert x.grad.numpy().sum() == slope * count


@pytest.mark.parametrize(
    "use",
    [
        lambda x: F.cat([x, x], 2),
        lambda x: F.stack([x, x], 4),
        lambda x: F.flatten(x, 2),
        lambda x: F.unflatten(x, 5, (1, 3)),
        lambda x: F.squeeze(x, 3),
        lambda x: F.unsqueeze(x, -4),
        lambda x: F.permute(x, 0, 3),
        lambda x: F.transpose(x, 0, 2),
        lambda x: F.sum(x, 2),
        lambda x: F.softmax(x, 2),
        lambda x: F.amax(x, (0, -3)),
    ],
)
def test_a_dimension_that_does_not_exist_is_refused(use):
    with pytest.raises(IndexError, match=r"dim -?\d does not exist in a tensor of \d dimensions"):
        use(Tensor(np.ones((2, 3))))


def test_shapes_that_would_broadcast_wrongly_are_refused():
    x, weight = Tensor(np.ones((2, 3))), Tensor(np.ones((4, 3)))
    with pytest.raises(ValueError, match="does not go with bias"):
        F.linear(x, weight, Tensor(np.ones(1)))
    with pytest.raises(ValueError, match="takes x of shape"):
        F.linear(x, Tensor(np.ones(3)))
    with pytest.raises(ValueError, match="same shape"):
        F.mse_loss(x, Tensor(np.ones(3)))
    with pytest.raises(ValueError, match="use stack for numbers"):
        F.cat([Tensor(np.array(1.0))])


def test_the_public_names_are_the_engine():
    assert minigan.grad is grad
    assert minigan.Tensor is Tensor
    assert minigan.Function is Function


# Errors ---------------------------------------------------------------------------------------


def test_an_error_of_numpy_says_in_which_function_it_arose():
    with pytest.raises(ValueError, match="broadcast") as caught:
        Tensor(np.zeros((2, 3))) + Tensor(np.zeros((4, 5)))
    assert caught.value.__notes__ == ["in Add, given (2, 3) float64, (4, 5) float64"]
    rows = [Tensor(np.zeros(2))] * 6 + [Tensor(np.zeros(3))]
    with pytest.raises(ValueError, match="must match") as caught:
        minigan.cat([x.view(-1, 1) if i else x.view(1, -1) for i, x in enumerate(rows)])
    (note,) = caught.value.__notes__
    assert note.startswith("in Concatenate, given (1, 2) float64, (2, 1) float64, ")
    assert note.endswith(", 2 more")
