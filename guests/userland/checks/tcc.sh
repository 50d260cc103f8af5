# A C compiler in the guest, and what it makes.

cp /usr/lib/abide/checks/doubles.c .
tcc -o doubles doubles.c -lm && ./doubles
tcc -run doubles.c | sha256sum
./doubles | sha256sum
