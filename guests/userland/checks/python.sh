# Python: a large program that uses every corner of the C library.

python3 - <<'PY'
import decimal, fractions, hashlib, json, math, random, re, struct, zlib
print(math.pi, math.e, math.sin(1e6), math.gamma(5.5), math.fsum([0.1] * 10), 0.1 + 0.2)
print(math.hypot(3, 4), math.erf(0.5), math.log1p(1e-10), math.nextafter(1, 2), math.fmod(-7, 3))
print(float("inf") - float("inf"), float("1e-320"), (0.1).hex(), float.fromhex("0x1.8p3"))
random.seed(7)
values = [random.gauss(0, 1) for _ in range(5000)]
print(sum(values), max(values), sorted(values)[2500])
print(pow(3, 10**5, 2**127 - 1), math.factorial(60), math.isqrt(10**40))
decimal.getcontext().prec = 50
print(decimal.Decimal(2).sqrt(), fractions.Fraction(1, 3) + fractions.Fraction(1, 7))
data = struct.pack("<1000d", *values[:1000])
print(hashlib.sha256(data).hexdigest(), zlib.crc32(data), hashlib.blake2b(data).hexdigest()[:32])
assert zlib.decompress(zlib.compress(data)) == data
print(json.dumps({"a": [1.5, None, True], "b": values[0]}), round(2.5), round(-1.5), divmod(-7, 3))
print(complex(1, 2) ** 2, abs(complex(3, 4)), re.sub(r"(\d+)", lambda m: str(int(m[1]) * 2), "a1b22"))
size = 40
matrix = [[math.sin(i * size + j) for j in range(size)] for i in range(size)]
square = [[sum(a * b for a, b in zip(r, c)) for c in zip(*matrix)] for r in matrix]
print(sum(map(sum, square)))
import threading
total = []
def work(n):
    total.append(sum(i * i for i in range(n)))
threads = [threading.Thread(target=work, args=(10000,)) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sum(total))
PY
