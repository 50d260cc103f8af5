# A few of openssl's, for where all of them would take too long: known answers, there and back,
# keys, and its own measure of speed.

seq 1 20000 >numbers
for digest in md5 sha256 sha512 sha3-256 blake2b512; do
    openssl dgst "-$digest" -r numbers
done
key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=101112131415161718191a1b1c1d1e1f
for cipher in aes-256-cbc aes-256-ctr chacha20 camellia-256-cbc; do
    openssl enc "-$cipher" -K $key -iv $iv -in numbers -out secret
    openssl dgst -sha256 -r secret
    openssl enc -d "-$cipher" -K $key -iv $iv -in secret | cmp - numbers && echo "$cipher and back"
done
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
openssl pkey -in key.pem -pubout -out pub.pem
openssl dgst -sha256 -sign key.pem -out sig numbers
openssl dgst -sha256 -verify pub.pem -signature sig numbers
echo x >>numbers
openssl dgst -sha256 -verify pub.pem -signature sig numbers 2>/dev/null
for what in sha256 aes-128-gcm; do
    openssl speed -seconds 1 -bytes 1024 -evp $what 2>/dev/null | grep -ci "^$what"
done
openssl speed -seconds 1 ecdsap256 2>/dev/null | grep -c ecdsa
