# coreutils on data that is known: hashes, sorting, numbers, files.

seq 1 200000 >numbers
for sum in md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum cksum; do
    echo "$sum $($sum <numbers)"
done
echo "empty $(printf '' | sha256sum)"
echo "abc $(printf abc | sha256sum)"

head -n 20000 numbers >some
sort -R --random-source=numbers some >mixed
echo "mixed $(sha256sum <mixed)"
sort -n mixed | cmp - some && echo "sorted by number"
sort mixed | sha256sum
sort -k1.3,1.5r -k1.1,1.2n mixed | sha256sum
shuf --random-source=numbers some | sort -nr | tac | cmp - some && echo "turned round"

factor 1000000007 600851475143 18446744073709551615 170141183460469231731687303715884105727
expr 123456789 \* 987654321
numfmt --to=iec 123456789 1099511627776
seq 0 0.1 1 | tr '\n' ' '
seq -f %.10g 1e-3 1.7e-1 1 | tr '\n' ' '
echo
printf '%.20f %.17g %a %e\n' 0.1 3.141592653589793238 0.75 123456789.125
printf '%d %x %o\n' 9007199254740993 3735928559 8

printf 'b 2\na 1\nc 3\n' | sort >left
printf 'a x\nc z\nd w\n' >right
join left right
comm -12 left left | wc -l
paste -d: left right
tr a-z A-Z <left | rev 2>/dev/null || tr a-z A-Z <left
cut -c2- numbers | uniq -c | sort -rn | head -n 3
od -An -tx1 -N16 /proc/self/exe
od -An -tf8 -N16 numbers
head -c 1000 numbers | base64 | sha256sum
base32 <left
fold -w 7 left | nl
split -l 5000 numbers part.
cat part.* | cmp - numbers && echo "whole again"
dd if=numbers of=copy bs=777 conv=swab status=none && sha256sum <copy
truncate -s 1M sparse && stat -c '%s %b' sparse
mkdir -p a/b/c && touch -d @86400 a/b/c/f && stat -c '%n %Y %a' a/b/c/f
ln -s a/b link && readlink -f link | sed "s,$PWD,.,"
date -u -d @1767225600 +%FT%TZ-%j-%U
date -u -d '2024-02-29 +1 year' +%F
timeout 1 sleep 30
echo "timeout $?"
