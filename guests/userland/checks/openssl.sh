# openssl with answers that are known: from its standards, and from itself there and back.

abc() { printf abc; }
for digest in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 shake128 blake2b512 blake2s256 ripemd160 sm3; do
    echo "$digest $(abc | openssl dgst "-$digest" -r 2>&1 | cut -d' ' -f1)"
done
seq 1 100000 >numbers
openssl dgst -sha256 -r numbers
openssl dgst -sha3-512 -r numbers
openssl dgst -sha256 -hmac key -r numbers

# SP 800-38A, F.1.1: the first block of AES-128 in ECB mode.
printf '\153\301\276\342\056\100\237\226\351\075\176\021\163\223\027\052' |
    openssl enc -aes-128-ecb -nopad -K 2b7e151628aed2a6abf7158809cf4f3c | od -An -tx1

key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=101112131415161718191a1b1c1d1e1f
for cipher in aes-128-cbc aes-192-ctr aes-256-cbc aes-256-ctr aes-256-ofb aes-128-cfb8 \
    camellia-256-cbc aria-128-ctr des-ede3-cbc chacha20 sm4-cbc; do
    case $cipher in
    aes-128* | aria-128* | sm4*) k=$(echo $key | cut -c1-32) ;;
    aes-192* | des*) k=$(echo $key | cut -c1-48) ;;
    *) k=$key ;;
    esac
    case $cipher in des*) i=$(echo $iv | cut -c1-16) ;; *) i=$iv ;; esac
    openssl enc "-$cipher" -K "$k" -iv "$i" -in numbers -out secret
    echo "$cipher $(sha256sum <secret)"
    openssl enc -d "-$cipher" -K "$k" -iv "$i" -in secret | cmp - numbers && echo "  and back"
done
openssl enc -aes-256-cbc -pbkdf2 -iter 1000 -S 0102030405060708 -k secret -in numbers | sha256sum
openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:0b0b0b0b -kdfopt hexsalt:00010203 \
    -kdfopt hexinfo:f0f1f2 HKDF
openssl kdf -keylen 32 -kdfopt pass:password -kdfopt salt:NaCl -kdfopt n:1024 -kdfopt r:8 \
    -kdfopt p:2 SCRYPT

sign() {
    openssl pkey -in key.pem -pubout -out pub.pem
    openssl dgst -sha256 -sign key.pem -out sig numbers &&
        openssl dgst -sha256 -verify pub.pem -signature sig numbers
    echo "$1: $?"
    echo x >>numbers.bad
    openssl dgst -sha256 -verify pub.pem -signature sig numbers.bad 2>/dev/null
    echo "$1, other text: $?"
}
openssl genrsa -out key.pem 2048 2>/dev/null
openssl rsa -in key.pem -check -noout
sign rsa
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
sign p-256
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp521r1 -out key.pem
sign p-521

for curve in ED25519 ED448; do
    openssl genpkey -algorithm $curve -out key.pem
    openssl pkey -in key.pem -pubout -out pub.pem
    openssl pkeyutl -sign -inkey key.pem -rawin -in numbers -out sig
    openssl pkeyutl -verify -pubin -inkey pub.pem -rawin -in numbers -sigfile sig
done
for curve in X25519 X448; do
    openssl genpkey -algorithm $curve -out a.pem
    openssl genpkey -algorithm $curve -out b.pem
    openssl pkey -in a.pem -pubout -out a.pub
    openssl pkey -in b.pem -pubout -out b.pub
    openssl pkeyutl -derive -inkey a.pem -peerkey b.pub -out ab
    openssl pkeyutl -derive -inkey b.pem -peerkey a.pub -out ba
    cmp ab ba && echo "$curve agrees on $(wc -c <ab) bytes"
done

openssl prime 170141183460469231731687303715884105727
openssl prime -generate -bits 128 | wc -l
openssl rand 64 | wc -c
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem \
    -subj /CN=guest -days 36500 2>/dev/null
openssl verify -CAfile ca.pem ca.pem

# How fast depends on the machine; that it ends, and that every line is there, does not.
for what in sha256 aes-128-gcm chacha20-poly1305; do
    openssl speed -seconds 1 -bytes 1024 -evp $what 2>/dev/null | grep -ci "^$what"
done
openssl speed -seconds 1 rsa1024 2>/dev/null | grep -c '^rsa'
openssl speed -seconds 1 ecdsap256 2>/dev/null | grep -c 'ecdsa'
