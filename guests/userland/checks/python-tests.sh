# Python's own test suite, as Debian ships it: numbers, hashes, compression, text, mapped memory.

python3 -m test --verbose test_math test_cmath test_float test_complex test_struct test_array \
    test_hashlib test_hmac test_zlib test_json test_mmap >log 2>&1
echo "exit code $?"
grep -E '^(All [0-9]+ tests|[0-9]+ tests? |    test_|Tests result)' log
grep -E '^(FAIL|ERROR):' log
# How many there are differs between versions.
ran=$(sed -n 's/^Ran \([0-9]*\) tests\{0,1\} in .*/\1/p' log | paste -sd+ | bc)
[ "${ran:-0}" -ge 1000 ] && echo "more than 1000 tests ran"
