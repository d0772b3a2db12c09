-- Lists are searched in memory, where what is listed is held as it was written last. Which that is
-- says a number, which grows whenever something in the tables of lists changes.

CREATE TABLE list_generation (
    generation INTEGER NOT NULL
) STRICT;
INSERT INTO list_generation VALUES (0);

-- Nothing is looked for by these any more, and every review had to write them.
DROP INDEX listed_service_kind;
DROP INDEX listed_service_address;
DROP INDEX listed_software_kind;
DROP INDEX listed_address_address;
DROP INDEX service_kind_port;
DROP INDEX service_kind_state;
DROP INDEX service_kind_protocol;
DROP INDEX service_kind_product;
DROP INDEX service_kind_version;
DROP INDEX product_product;
DROP INDEX product_version;
