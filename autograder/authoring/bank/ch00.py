# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 0.1 GB of 13 billion parameters in FP16

# %% exercise="0.1" wrong="one byte a parameter"
ex_0_1 = 13

# %% exercise="0.1" wrong="FP32"
ex_0_1 = 52.0

# %% exercise="0.1" wrong="gigabits"
ex_0_1 = 13 * 16

# %% exercise="0.1" wrong="GiB"
ex_0_1 = 13e9 * 2 / 2**30

# %% exercise="0.1" wrong="bytes"
ex_0_1 = 26_000_000_000

# %% exercise="0.1" wrong="text"
ex_0_1 = "26 GB"

# %% exercise="0.1" right="the number"
ex_0_1 = 26.0

# %% exercise="0.1" right="computed"
ex_0_1 = 13_000_000_000 * 16 / 8 / 10**9

# %% exercise="0.1" right="a NumPy scalar"
ex_0_1 = np.float32(13) * 2

# %% [markdown]
# ## 0.2 Compression ratio of 14 GB to 3.5 GB

# %% exercise="0.2" wrong="upside down"
ex_0_2 = 0.25

# %% exercise="0.2" wrong="the GB saved"
ex_0_2 = 14 - 3.5

# %% exercise="0.2" wrong="the share saved"
ex_0_2 = 0.75

# %% exercise="0.2" wrong="the percentage saved"
ex_0_2 = 75

# %% exercise="0.2" wrong="no answer"
ex_0_2 = None

# %% exercise="0.2" right="the number"
ex_0_2 = 4

# %% exercise="0.2" right="computed"
ex_0_2 = 14 / 3.5

# %% exercise="0.2" right="a torch scalar"
ex_0_2 = torch.tensor(14.0).item() / 3.5

# %% [markdown]
# ## 0.3 Why smaller weights decode faster

# %% exercise="0.3" wrong="integer units are faster"
ex_0_3 = "A"

# %% exercise="0.3" wrong="fewer multiplications"
ex_0_3 = "B"

# %% exercise="0.3" wrong="it all fits into the cache"
ex_0_3 = "D"

# %% exercise="0.3" wrong="a word"
ex_0_3 = "memory"

# %% exercise="0.3" right="the letter"
ex_0_3 = "C"

# %% exercise="0.3" right="small letter with a space"
ex_0_3 = " c"

# %% [markdown]
# ## 0.4 Speedup of INT4 over FP16 at 2 TB/s

# %% exercise="0.4" wrong="upside down"
ex_0_4 = 1.75 / 7

# %% exercise="0.4" wrong="milliseconds of INT4"
ex_0_4 = 1.75

# %% exercise="0.4" wrong="milliseconds of FP16"
ex_0_4 = 7.0

# %% exercise="0.4" wrong="milliseconds saved"
ex_0_4 = 7 - 1.75

# %% exercise="0.4" wrong="INT8"
ex_0_4 = 2

# %% exercise="0.4" wrong="bytes and bandwidth counted twice"
ex_0_4 = 16

# %% exercise="0.4" right="the number"
ex_0_4 = 4.0

# %% exercise="0.4" right="computed"
ex_0_4 = (14 / 2) / (3.5 / 2)

# %% exercise="0.4" right="bits"
ex_0_4 = 16 / 4

# %% [markdown]
# ## 0.5 What a single token waits for

# %% exercise="0.5" wrong="so many weights to multiply"
ex_0_5 = "A"

# %% exercise="0.5" wrong="operations per weight, not per byte"
ex_0_5 = "B"

# %% exercise="0.5" wrong="chips are balanced"
ex_0_5 = "C"

# %% exercise="0.5" wrong="the share instead of the letter"
ex_0_5 = "1/156"

# %% exercise="0.5" right="the letter"
ex_0_5 = "D"

# %% exercise="0.5" right="small letter"
ex_0_5 = "d"

# %% [markdown]
# ## 0.6 model_size_gb


# %% exercise="0.6" wrong="GiB" likely=true
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 2**30


# %% exercise="0.6" wrong="gigabits" likely=true
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 1e9


# %% exercise="0.6" wrong="bytes"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8


# %% exercise="0.6" wrong="MB"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e6


# %% exercise="0.6" wrong="bits taken for bytes, and FP16 for all"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * 2 / 1e9


# %% exercise="0.6" wrong="whole bytes only"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * (bits_per_param // 8) / 1e9


# %% exercise="0.6" wrong="rounds to two digits"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return round(params * bits_per_param / 8 / 1e9, 2)


# %% exercise="0.6" wrong="accepts nonsense" likely=true
def model_size_gb(params, bits_per_param):
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="refuses a model without parameters"
def model_size_gb(params, bits_per_param):
    if params <= 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="an error that names no argument"
def model_size_gb(params, bits_per_param):
    if params < 0 or bits_per_param < 1:
        raise ValueError("bad input")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="asserts instead of raising ValueError"
def model_size_gb(params, bits_per_param):
    assert params >= 0, "params"
    assert bits_per_param >= 1, "bits_per_param"
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="prints instead of returning"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    print(params * bits_per_param / 8 / 1e9)


# %% exercise="0.6" wrong="half a bit is accepted"


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param <= 0:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="bits are rounded before they are checked"


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if round(bits_per_param) < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="less than one parameter below zero slips through"


def model_size_gb(params, bits_per_param):
    if int(params) < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="eight decimals of a GB"


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return round(params * bits_per_param / 8 / 1e9, 8)


# %% exercise="0.6" wrong="at most 64 bits"


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * min(bits_per_param, 64) / 8 / 1e9


# %% exercise="0.6" wrong="TypeError for bad bits"


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise TypeError("bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" wrong="refuses both arguments or none"


def model_size_gb(params, bits_per_param):
    if params < 0 and bits_per_param < 1:
        raise ValueError("params must not be negative, bits_per_param must be at least 1")
    return params * bits_per_param / 8 / 1e9


# %% exercise="0.6" right="one line after the checks"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return params * bits_per_param / 8e9


# %% exercise="0.6" right="through bytes"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    n_bytes = np.asarray(params, dtype=np.float64) * bits_per_param / 8
    return n_bytes / 10**9


# %% exercise="0.6" right="torch"
def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return (torch.tensor(params, dtype=torch.float64) * bits_per_param / 8e9).item()


# %% exercise="0.6" right="exact fractions"
def model_size_gb(params, bits_per_param):
    from fractions import Fraction

    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return float(Fraction(params) * Fraction(bits_per_param) / 8 / 10**9)


# %% exercise="0.6" right="both arguments named in one message"


def model_size_gb(params, bits_per_param):
    if params < 0 or bits_per_param < 1:
        raise ValueError("params must not be negative and bits_per_param at least 1")
    return params / 1e9 * bits_per_param / 8


# %% [markdown]
# ## 0.7 compression_ratio

# %% exercise="0.7" wrong="another line"
ex_0_7_line = 3


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="counts lines from 0"
ex_0_7_line = 1


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="still upside down" likely=true
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return compressed_gb / original_gb


# %% exercise="0.7" wrong="the share saved"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return 1 - compressed_gb / original_gb


# %% exercise="0.7" wrong="the GB saved"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb - compressed_gb


# %% exercise="0.7" wrong="whichever is larger over the other" likely=true
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return max(original_gb, compressed_gb) / min(original_gb, compressed_gb)


# %% exercise="0.7" wrong="rounds to whole numbers" likely=true
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return round(original_gb / compressed_gb)


# %% exercise="0.7" wrong="whole division"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb // compressed_gb


# %% exercise="0.7" wrong="accepts nonsense" likely=true
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="returns infinity for an empty file"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb")
    if not compressed_gb > 0:
        return float("inf")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="only the quotient's sign is checked"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if compressed_gb == 0:
        raise ValueError("compressed_gb must not be 0")
    ratio = original_gb / compressed_gb
    if ratio <= 0:
        raise ValueError("original_gb and compressed_gb must be above 0")
    return ratio


# %% exercise="0.7" wrong="NaN slips through"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if original_gb <= 0:
        raise ValueError("original_gb must be above 0")
    if compressed_gb <= 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="NaN slips through as the original size"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if original_gb <= 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="at least a byte, so tiny sizes are refused"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    for name, size in (("original_gb", original_gb), ("compressed_gb", compressed_gb)):
        if not size >= 1e-3:
            raise ValueError(f"{name} must be above 0")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="never below 1"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    for name, size in (("original_gb", original_gb), ("compressed_gb", compressed_gb)):
        if not size > 0:
            raise ValueError(f"{name} must be above 0")
    return max(1.0, original_gb / compressed_gb)


# %% exercise="0.7" wrong="refuses a file that grew"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    for name, size in (("original_gb", original_gb), ("compressed_gb", compressed_gb)):
        if not size > 0:
            raise ValueError(f"{name} must be above 0")
    if compressed_gb > original_gb:
        raise ValueError("compressed_gb must not be above original_gb")
    return original_gb / compressed_gb


# %% exercise="0.7" wrong="two decimals"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    for name, size in (("original_gb", original_gb), ("compressed_gb", compressed_gb)):
        if not size > 0:
            raise ValueError(f"{name} must be above 0")
    return round(original_gb / compressed_gb, 2)


# %% exercise="0.7" right="divides the right way"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    return original_gb / compressed_gb


# %% exercise="0.7" right="one over the share that is left"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError("original_gb must be above 0")
    if not compressed_gb > 0:
        raise ValueError("compressed_gb must be above 0")
    left = compressed_gb / original_gb
    return 1 / left


# %% exercise="0.7" right="checks in a loop"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    for name, size in (("original_gb", original_gb), ("compressed_gb", compressed_gb)):
        if not size > 0:
            raise ValueError(f"{name} = {size}")
    return np.divide(original_gb, compressed_gb)


# %% exercise="0.7" right="not above 0, NaN included"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not original_gb > 0:
        raise ValueError(f"original_gb must be above 0, got {original_gb}")
    if not compressed_gb > 0:
        raise ValueError(f"compressed_gb must be above 0, got {compressed_gb}")
    return float(original_gb) / float(compressed_gb)


# %% exercise="0.7" right="both at once"
ex_0_7_line = 2


def compression_ratio(original_gb, compressed_gb):
    if not (original_gb > 0 and compressed_gb > 0):
        raise ValueError(f"original_gb and compressed_gb must be above 0, got {original_gb} and {compressed_gb}")
    return original_gb / compressed_gb


# %% [markdown]
# ## L0.8 decode_latency_ms


# %% exercise="L0.8" wrong="adds the two times" likely=true
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * (memory + compute)


# %% exercise="L0.8" wrong="the shorter of the two"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * min(memory, compute)


# %% exercise="L0.8" wrong="memory only"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    return 1000 * memory


# %% exercise="L0.8" wrong="arithmetic only"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * compute


# %% exercise="L0.8" wrong="forgets the batch" likely=true
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="reads the weights once for each sequence"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = batch * params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="one operation a weight"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="fewer bits compute faster"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12 * 16 / bits_per_param)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="seconds"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return max(memory, compute)


# %% exercise="L0.8" wrong="takes bits for bytes" likely=true
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="FP16 whatever the bits"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * 2 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="time of a token, not of a step"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute) / batch


# %% exercise="L0.8" wrong="accepts nonsense" likely=true
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="an error that names no argument"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0 or min(bits_per_param, batch) < 1 or min(bandwidth_gb_s, peak_tflops) <= 0:
        raise ValueError("bad input")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="a negative peak is accepted"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops == 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="half a bit is accepted"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param <= 0:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="a fraction of a sequence is accepted"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch <= 0:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="a negative batch is accepted"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch == 0:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="only the product of the rates is checked"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s * peak_tflops <= 0:
        raise ValueError("bandwidth_gb_s and peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" wrong="at least a microsecond"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return max(1e-3, 1000 * max(memory, compute))


# %% exercise="L0.8" right="max of two times"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory, compute)


# %% exercise="L0.8" right="if and else"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    memory = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute = 2 * params * batch / (peak_tflops * 1e12)
    if memory >= compute:
        return memory * 1e3
    return compute * 1e3


# %% exercise="L0.8" right="through intensity and balance"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    operations = 2 * params * batch
    n_bytes = params * bits_per_param / 8
    if n_bytes == 0:
        return 0.0
    reached = min(peak_tflops * 1e12, operations / n_bytes * bandwidth_gb_s * 1e9)
    return 1000 * operations / reached


# %% exercise="L0.8" right="NumPy"
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if params < 0:
        raise ValueError("params must not be negative")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    times = np.array([params * bits_per_param / 8 / bandwidth_gb_s / 1e6, 2 * params * batch / peak_tflops / 1e9])
    return times.max()


# %% exercise="L0.8" right="checks the last argument first"


def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    if batch < 1:
        raise ValueError("batch must be at least 1")
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_gb_s <= 0:
        raise ValueError("bandwidth_gb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    if params < 0:
        raise ValueError("params must not be negative")
    gigabytes, tera_operations = params * bits_per_param / 8e9, 2 * params * batch / 1e12
    return max(gigabytes / bandwidth_gb_s, tera_operations / peak_tflops) * 1000


# %% [markdown]
# ## L0.9 crossover_batch


# %% exercise="L0.9" wrong="the balance, whatever the bits" likely=true
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s


# %% exercise="L0.9" wrong="one operation a weight"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 8


# %% exercise="L0.9" wrong="fewer bits cross over later"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * 16 / bits_per_param


# %% exercise="L0.9" wrong="upside down"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return bandwidth_tb_s / peak_tflops * 16 / bits_per_param


# %% exercise="L0.9" wrong="bandwidth in GB/s"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops * 1000 / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="takes bits for bytes"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 2


# %% exercise="L0.9" wrong="rounds down" likely=true
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return int(peak_tflops / bandwidth_tb_s * bits_per_param / 16)


# %% exercise="L0.9" wrong="rounds up"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    import math

    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return math.ceil(peak_tflops / bandwidth_tb_s * bits_per_param / 16)


# %% exercise="L0.9" wrong="64, as one reads"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return 64.0


# %% exercise="L0.9" wrong="accepts nonsense" likely=true
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="an error that names no argument"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if min(peak_tflops, bandwidth_tb_s) <= 0 or bits_per_param < 1:
        raise ValueError("bad input")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="half a bit is accepted"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param <= 0:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="negative bits are accepted"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param == 0:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="a negative peak is accepted"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops == 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="only the quotient's sign is checked"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if bandwidth_tb_s == 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if peak_tflops / bandwidth_tb_s <= 0:
        raise ValueError("peak_tflops and bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" wrong="never below a batch of 1"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return max(1.0, peak_tflops / bandwidth_tb_s * bits_per_param / 16)


# %% exercise="L0.9" wrong="at most 16 bits"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * min(bits_per_param, 16) / 16


# %% exercise="L0.9" right="the formula"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    return peak_tflops / bandwidth_tb_s * bits_per_param / 16


# %% exercise="L0.9" right="two times set equal"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    memory = bits_per_param / 8 / (bandwidth_tb_s * 1e12)
    compute = 2 / (peak_tflops * 1e12)
    return memory / compute


# %% exercise="L0.9" right="bisection"
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if peak_tflops <= 0:
        raise ValueError("peak_tflops must be above 0")
    if bandwidth_tb_s <= 0:
        raise ValueError("bandwidth_tb_s must be above 0")
    if bits_per_param < 1:
        raise ValueError("bits_per_param must be at least 1")
    low, high = 0.0, 1e12
    for _ in range(300):
        middle = (low + high) / 2
        if 2 * middle / peak_tflops < bits_per_param / 8 / bandwidth_tb_s:
            low = middle
        else:
            high = middle
    return np.float64(high)


# %% exercise="L0.9" right="one message for all"


def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    if not (peak_tflops > 0 and bandwidth_tb_s > 0 and bits_per_param >= 1):
        raise ValueError("peak_tflops and bandwidth_tb_s must be above 0, bits_per_param at least 1")
    return torch.tensor(peak_tflops * bits_per_param / bandwidth_tb_s / 16, dtype=torch.float64)


# %% [markdown]
# ## L0.10 kv_cache_gb


# %% exercise="L0.10" wrong="keys only" likely=true
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="forgets the batch" likely=true
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * bits / 8 / 1e9


# %% exercise="L0.10" wrong="one layer"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="forgets the heads"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="all pairs of tokens, as attention's scores"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len**2 * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="takes bits for bytes" likely=true
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 1e9


# %% exercise="L0.10" wrong="GiB"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 2**30


# %% exercise="L0.10" wrong="16 bits whatever bits says"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * 2 / 1e9


# %% exercise="L0.10" wrong="8 bits when bits is left out"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=8):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="whole bytes only"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * (bits // 8) / 1e9


# %% exercise="L0.10" wrong="accepts nonsense" likely=true
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="an error that names no argument"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    if min(layers, kv_heads, head_dim, seq_len, batch) < 0 or bits < 1:
        raise ValueError("bad input")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="refuses an empty cache"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 1:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="two negatives cancel"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    if layers * kv_heads * head_dim * seq_len * batch < 0:
        raise ValueError("layers, kv_heads, head_dim, seq_len and batch must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="an empty cache hides a negative size"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    if 0 in (layers, kv_heads, head_dim, seq_len, batch):
        return 0.0
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="half a bit is accepted"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits <= 0:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="bits are checked where they are zero only"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits == 0:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="one bit is refused"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits <= 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" wrong="sums in 32 bits"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    numbers = np.prod(np.array([2, layers, kv_heads, head_dim, seq_len, batch], dtype=np.int32), dtype=np.int32)
    return float(numbers) * bits / 8 / 1e9


# %% exercise="L0.10" right="the product"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9


# %% exercise="L0.10" right="bytes of a token first"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    per_token = 2 * layers * kv_heads * head_dim * bits / 8
    return per_token * seq_len * batch / 10**9


# %% exercise="L0.10" right="math.prod"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    import math

    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    numbers = math.prod((2, layers, kv_heads, head_dim, seq_len, batch))
    return numbers * bits / 8e9


# %% exercise="L0.10" right="a loop over layers"
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    for name, value in (
        ("layers", layers),
        ("kv_heads", kv_heads),
        ("head_dim", head_dim),
        ("seq_len", seq_len),
        ("batch", batch),
    ):
        if value < 0:
            raise ValueError(f"{name} must not be negative")
    if bits < 1:
        raise ValueError("bits must be at least 1")
    total = 0.0
    for _ in range(layers):
        for _ in ("keys", "values"):
            total += batch * seq_len * kv_heads * head_dim * bits / 8
    return total / 1e9


# %% exercise="L0.10" right="the last argument first, in NumPy"


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    if not bits >= 1:
        raise ValueError("bits must be at least 1")
    for name, value in reversed(list(locals().items())):
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    return np.prod([2.0, layers, kv_heads, head_dim, seq_len, batch, bits]) / 8e9


# %% [markdown]
# ## L0.11 INT4 weights for a batch of 1 and of 64

# %% exercise="L0.11" wrong="fewer bytes, so faster at any batch"
ex_L0_11 = "A"

# %% exercise="L0.11" wrong="unpacking is free, so equal beyond the crossover"
ex_L0_11 = "B"

# %% exercise="L0.11" wrong="unpacking always costs time"
ex_L0_11 = "D"

# %% exercise="L0.11" wrong="two words instead of a letter"
ex_L0_11 = "faster, slower"

# %% exercise="L0.11" right="the letter"
ex_L0_11 = "C"

# %% exercise="L0.11" right="small letter with a space"
ex_L0_11 = "c "
