{#
  Tests that every mart uses. They name the offending key, so that a failure says where to look.
#}

{% test one_row_per(model, columns) %}
select
    {{ columns | join(',\n    ') }},
    count(*) as row_count
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{% test in_range(model, column_name, minimum, maximum) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} < {{ minimum }} or {{ column_name }} > {{ maximum }}
{% endtest %}

{% test holds(model, expression) %}
select *
from {{ model }}
where not ({{ expression }})
{% endtest %}
